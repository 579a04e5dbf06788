-- The tasks that are paused, the latest last, and how many messages of each are held, counted to a
-- limit.
-- Plan: Index Scan using djtasks_tasksetting_paused, then for each Limit > Index Only Scan using
-- djtasks_message_held.
SELECT t.name, t.paused_at, t.reason,
       (SELECT count(*) FROM (
            SELECT FROM djtasks_message m WHERE m.state = 4 AND m.task = t.name LIMIT %(limit)s + 1
        ) AS held)
FROM djtasks_tasksetting t
WHERE t.paused_at IS NOT NULL
ORDER BY t.paused_at, t.name
LIMIT %(most)s
