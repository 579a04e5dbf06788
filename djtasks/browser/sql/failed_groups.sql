-- The tasks that failed and match, with the exceptions of each (and none): two loose index scans,
-- a probe each.
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
    SELECT m.task
    FROM (SELECT task FROM tasks LIMIT %(most)s) AS m
    WHERE (%(task)s::text IS NULL OR m.task = %(task)s::text OR m.task LIKE %(task_end)s::text)
      AND (%(texts)s::text[] IS NULL OR lower(m.task) LIKE ALL (%(texts)s::text[]))
      AND m.task IS NOT NULL
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
(SELECT task, exception FROM groups LIMIT %(most)s)
UNION ALL
-- A row of nulls says that there are more tasks than were looked at.
SELECT NULL, NULL
WHERE (SELECT count(*) FROM (SELECT FROM tasks LIMIT %(most)s) AS seen) = %(most)s
