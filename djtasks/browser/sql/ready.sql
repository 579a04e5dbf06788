-- How many messages are ready in all queues, counted to a limit.
-- Plan: Limit > Index Scan using djtasks_message_ready.
SELECT count(*)
FROM (
    SELECT FROM djtasks_message WHERE state = 0 AND worker_id IS NULL LIMIT %(limit)s + 1
) AS ready
