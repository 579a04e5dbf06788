-- The names of queues that were seen or hold ready messages, in lines or not.
-- Plan: Append of an Index Scan using djtasks_queue_pkey and Recursive Unions of Limit > Index Only
-- Scan using djtasks_message_ready and _line (one probe a queue).
WITH RECURSIVE line (queue) AS (
    (SELECT queue FROM djtasks_message WHERE state = 0 ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT m.queue FROM djtasks_message m
            WHERE m.state = 0 AND m.queue > line.queue
            ORDER BY m.queue LIMIT 1)
    FROM line
    WHERE line.queue IS NOT NULL
), lined (queue) AS (
    (SELECT queue FROM djtasks_message WHERE state = 5 ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT m.queue FROM djtasks_message m
            WHERE m.state = 5 AND m.queue > lined.queue
            ORDER BY m.queue LIMIT 1)
    FROM lined
    WHERE lined.queue IS NOT NULL
)
SELECT queue FROM line WHERE queue IS NOT NULL
UNION
SELECT queue FROM lined WHERE queue IS NOT NULL
UNION
SELECT name FROM djtasks_queue
ORDER BY 1
LIMIT %(limit)s
