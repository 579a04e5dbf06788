-- Tasks that some worker did not know, of those at the head of each queue, and for how many seconds
-- they have waited since. What may be looked at is shared by all queues.
-- Plan: Recursive Union of Limit > Index Only Scan using djtasks_message_ready (one probe a queue),
-- then Nested Loop with Limit > Index Scan using it.
WITH RECURSIVE line (queue) AS (
    (SELECT queue FROM djtasks_message WHERE state = 0 ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT m.queue FROM djtasks_message m
            WHERE m.state = 0 AND m.queue > line.queue
            ORDER BY m.queue LIMIT 1)
    FROM line
    WHERE line.queue IS NOT NULL
), share (rows) AS (
    SELECT greatest(10, least(%(head)s, %(budget)s / count(queue))) FROM line HAVING count(queue) > 0
)
SELECT head.task, line.queue,
       extract(epoch FROM now() - min(head.unknown_since))::float8 AS seconds
FROM line
CROSS JOIN LATERAL (
    SELECT m.task, m.unknown_since, m.worker_id
    FROM djtasks_message m
    WHERE m.state = 0 AND m.queue = line.queue
    ORDER BY m.rank, m.seq
    LIMIT (SELECT rows FROM share)
) AS head
WHERE line.queue IS NOT NULL AND head.unknown_since IS NOT NULL AND head.worker_id IS NULL
GROUP BY head.task, line.queue
ORDER BY seconds DESC
LIMIT %(limit)s
