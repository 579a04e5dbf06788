-- A task as it was called, queued or ended; and whether its arguments lack the results of others.
-- Plan: Append over Index Scans using both primary keys.
SELECT c.task, c.queue, c.rank, coalesce(c.payload, p.body), c.options, c.lacks
FROM (
    SELECT 0 AS place, task, queue, rank, payload, payload_id, options,
           state = 2 AND immutable IS NOT TRUE AS lacks
    FROM djtasks_message WHERE id = %(id)s
    UNION ALL
    SELECT 1, task, queue, rank, payload, payload_id, options,
           after IS NOT NULL AND started_at IS NULL
    FROM djtasks_taskresult WHERE id = %(id)s
) AS c
LEFT JOIN djtasks_payload p ON p.id = c.payload_id
ORDER BY c.place
LIMIT 1
