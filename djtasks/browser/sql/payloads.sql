-- The whole payloads of tasks. Plan: Nested Loops over the ids, Index Scans using the primary keys.
SELECT i.id, coalesce(m.payload, r.payload, p.body)
FROM unnest(%(ids)s::uuid[]) AS i (id)
LEFT JOIN djtasks_message m ON m.id = i.id
LEFT JOIN djtasks_taskresult r ON r.id = i.id
LEFT JOIN djtasks_payload p ON p.id = coalesce(m.payload_id, r.payload_id)
