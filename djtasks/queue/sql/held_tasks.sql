-- The tasks of which messages are held, and whether each is paused: a loose index scan.
-- Plan: Recursive Union of Limit > Index Only Scan using djtasks_message_held.
WITH RECURSIVE held (task) AS (
    (SELECT task FROM djtasks_message WHERE state = 4 ORDER BY task LIMIT 1)
    UNION ALL
    SELECT (SELECT m.task FROM djtasks_message m
            WHERE m.state = 4 AND m.task > held.task
            ORDER BY m.task LIMIT 1)
    FROM held
    WHERE held.task IS NOT NULL
)
SELECT held.task,
       EXISTS (
           SELECT FROM djtasks_tasksetting t WHERE t.name = held.task AND t.paused_at IS NOT NULL
       )
FROM held
WHERE held.task IS NOT NULL
