-- The last runs of a task that ended, among so many of all tasks, the latest first.
-- Plan: Limit over a Subquery Scan over Limit over an Index Scan Backward using
-- djtasks_taskresult_done.
SELECT r.id
FROM (
    SELECT x.id, x.task, x.runtime
    FROM djtasks_taskresult x
    WHERE x.date_done IS NOT NULL
    ORDER BY x.date_done DESC
    LIMIT %(scan)s
) r
WHERE r.task = %(task)s AND r.runtime IS NOT NULL
LIMIT %(most)s
