-- Those of these ended tasks whose unique keys other tasks have; by the rule of take_unique.sql.
-- Plan: Nested Loops over the ids, Index Scans using the primary keys.
SELECT i.id
FROM unnest(%(ids)s::uuid[], %(keys)s::text[]) AS i (id, key)
JOIN djtasks_unique u ON u.key = i.key AND u.task_id <> i.id
LEFT JOIN djtasks_message m ON m.id = u.task_id
LEFT JOIN djtasks_taskresult r ON r.id = u.task_id
WHERE (u.until > clock_timestamp() AND (m.id IS NOT NULL OR r.state IS DISTINCT FROM 'REVOKED'))
   OR (m.id IS NOT NULL AND (u.mode = 2 OR u.mode = 1 AND m.worker_id IS NULL))
