-- The tasks that failed, with the exceptions of each (and none): two loose index scans, a probe each.
-- Plan: Recursive Unions of Limit > Index Only Scan using djtasks_taskresult_failed.
WITH RECURSIVE tasks (task) AS (
    (SELECT task FROM djtasks_taskresult WHERE state = 'FAILURE' ORDER BY task LIMIT 1)
    UNION ALL
    SELECT (SELECT r.task FROM djtasks_taskresult r
            WHERE r.state = 'FAILURE' AND r.task > tasks.task
            ORDER BY r.task LIMIT 1)
    FROM tasks
    WHERE tasks.task IS NOT NULL
), known (task) AS (
    SELECT task FROM tasks WHERE task IS NOT NULL LIMIT %(most)s
), groups (task, exception) AS (
    SELECT known.task, (SELECT r.exception FROM djtasks_taskresult r
                        WHERE r.state = 'FAILURE' AND r.task = known.task
                          AND r.exception IS NOT NULL
                        ORDER BY r.exception LIMIT 1)
    FROM known
    UNION ALL
    SELECT groups.task, (SELECT r.exception FROM djtasks_taskresult r
                         WHERE r.state = 'FAILURE' AND r.task = groups.task
                           AND r.exception > groups.exception
                         ORDER BY r.exception LIMIT 1)
    FROM groups
    WHERE groups.exception IS NOT NULL
)
SELECT task, exception FROM groups LIMIT %(most)s
