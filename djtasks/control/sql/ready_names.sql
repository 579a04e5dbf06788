-- The names of the queues that hold ready messages, paused or not: a loose index scan.
-- Plan: Recursive Union of Limit > Index Only Scan using djtasks_message_ready.
WITH RECURSIVE ready (queue) AS (
    (SELECT queue FROM djtasks_message WHERE state = 0 ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT m.queue FROM djtasks_message m
            WHERE m.state = 0 AND m.queue > ready.queue
            ORDER BY m.queue LIMIT 1)
    FROM ready
    WHERE ready.queue IS NOT NULL
)
SELECT queue FROM ready WHERE queue IS NOT NULL
