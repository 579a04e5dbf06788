-- The last runs of one task that were not its last, the oldest first.
-- Plan: Sort over Limit over an Index Scan using djtasks_attempt_task_id.
SELECT a.number, a.state, a.exception, left(a.message, %(length)s), a.worker, a.ended_at, a.runtime
FROM (
    SELECT * FROM djtasks_attempt x
    WHERE x.task_id = %(id)s
    ORDER BY x.id DESC
    LIMIT %(most)s
) a
ORDER BY a.id
