-- The tasks of a workflow to a limit, in the order in which they were planned.
-- Plan: Sort over Append over Index Scans using djtasks_message_root, djtasks_taskresult_root and
-- the primary keys of both (for the root itself, if it is a call of its own).
WITH queued AS MATERIALIZED (
    SELECT m.id, m.task, m.after, m.feeds, m.parent_id, NULL::float8 AS runtime,
           CASE WHEN m.worker_id IS NOT NULL THEN 'RUNNING'
                WHEN m.state = 2 THEN 'WAITING'
                WHEN m.state = 3 THEN 'BLOCKED'
                WHEN m.state = 1 AND m.retries > 0 THEN 'RETRY'
                WHEN m.state = 1 THEN 'SCHEDULED'
                ELSE 'READY'
           END AS state
    FROM (
        (SELECT * FROM djtasks_message WHERE root_id = %(root)s LIMIT %(most)s)
        UNION ALL
        SELECT * FROM djtasks_message WHERE id = %(root)s AND root_id IS DISTINCT FROM %(root)s
    ) m
)
SELECT id, task, after, feeds, parent_id, runtime, state FROM queued
UNION ALL
SELECT r.id, r.task, r.after, r.feeds, r.parent_id, r.runtime, r.state
FROM (
    (SELECT * FROM djtasks_taskresult WHERE root_id = %(root)s LIMIT %(most)s)
    UNION ALL
    SELECT * FROM djtasks_taskresult WHERE id = %(root)s AND root_id IS DISTINCT FROM %(root)s
) r
WHERE (r.id IN (SELECT q.id FROM queued q)) IS NOT TRUE
ORDER BY id
LIMIT %(most)s
