-- Tasks that some worker did not know, of those at the head of each queue, and for how many seconds
-- they have waited since. What may be looked at is shared by all queues.
-- Plan: Recursive Unions of Limit > Index Only Scan using djtasks_message_ready and _line (one probe
-- a queue), then Nested Loops with Limit > Index Scan using them.
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
), share (rows) AS (
    SELECT greatest(10, least(%(head)s, %(budget)s / count(queue))) 
    FROM (SELECT l.queue FROM line l UNION ALL SELECT d.queue FROM lined d) AS q
    HAVING count(queue) > 0
)
SELECT head.task, head.queue,
       extract(epoch FROM now() - min(head.unknown_since))::float8 AS seconds
FROM (
    SELECT line.queue, first.*
    FROM line
    CROSS JOIN LATERAL (
        SELECT m.task, m.unknown_since, m.worker_id
        FROM djtasks_message m
        WHERE m.state = 0 AND m.queue = line.queue
        ORDER BY m.rank, m.seq
        LIMIT (SELECT rows FROM share)
    ) AS first
    UNION ALL
    SELECT lined.queue, first.*
    FROM lined
    CROSS JOIN LATERAL (
        SELECT m.task, m.unknown_since, m.worker_id
        FROM djtasks_message m
        WHERE m.state = 5 AND m.queue = lined.queue
        ORDER BY m.fair, m.rank, m.seq
        LIMIT (SELECT rows FROM share)
    ) AS first
) AS head
WHERE head.unknown_since IS NOT NULL AND head.worker_id IS NULL
GROUP BY head.task, head.queue
ORDER BY seconds DESC
LIMIT %(limit)s
