-- How many messages are ready in all queues, counted to a limit.
-- Plan: Limit > Append of an Index Scan using djtasks_message_ready and one using _line.
SELECT count(*)
FROM (
    SELECT FROM djtasks_message WHERE state = 0 AND worker_id IS NULL
    UNION ALL
    SELECT FROM djtasks_message WHERE state = 5
    LIMIT %(limit)s + 1
) AS ready
