-- The limits that somebody has set for tasks.
-- Plan: Index Scan using djtasks_tasksetting_pkey: a row for each task that anything is set for.
SELECT name, time_limit, soft_time_limit, rate_limit
FROM djtasks_tasksetting
WHERE time_limit IS NOT NULL OR soft_time_limit IS NOT NULL OR rate_limit IS NOT NULL
ORDER BY name
