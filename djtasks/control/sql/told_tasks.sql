-- What a list of tasks needs that only their rows have: arguments, unless these are hidden.
-- Plan: Nested Loops over the ids, Index Scans using the primary keys.
SELECT m.id, coalesce(m.payload, p.body), m.options
FROM unnest(%(ids)s::uuid[]) AS i (id)
JOIN djtasks_message m ON m.id = i.id
LEFT JOIN djtasks_payload p ON p.id = m.payload_id
