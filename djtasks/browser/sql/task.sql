-- The long texts of one task, which lists do without.
-- Plan: Nested Loop Left Joins of Index Scans using the primary keys.
SELECT left(CASE WHEN m.id IS NULL THEN coalesce(r.payload, p.body)
                 ELSE coalesce(m.payload, p.body)
            END, %(most)s),
       left(CASE WHEN m.id IS NULL THEN r.options ELSE m.options END, %(most)s),
       left(r.result, %(most)s),
       left(r.traceback, %(most)s)
FROM (VALUES (%(id)s::uuid)) AS i (id)
LEFT JOIN djtasks_message m ON m.id = i.id
LEFT JOIN djtasks_taskresult r ON r.id = i.id
LEFT JOIN djtasks_payload p
    ON p.id = CASE WHEN m.id IS NULL THEN r.payload_id ELSE m.payload_id END
