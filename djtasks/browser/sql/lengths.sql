-- How many messages of each queue are ready, and how many are claimed, for which claims look at the
-- head of a queue. What may be counted is shared by all queues; the last column says that there
-- are more.
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
    SELECT greatest(100, least(%(limit)s, %(budget)s / count(queue))) FROM line HAVING count(queue) > 0
)
SELECT line.queue, counted.ready, counted.claimed, counted.looked > share.rows
FROM line
CROSS JOIN share
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE h.worker_id IS NULL) AS ready,
           count(*) FILTER (WHERE h.worker_id IS NOT NULL) AS claimed,
           count(*) AS looked
    FROM (
        SELECT m.worker_id
        FROM djtasks_message m
        WHERE m.state = 0 AND m.queue = line.queue
        ORDER BY m.rank, m.seq
        LIMIT (SELECT rows + 1 FROM share)
    ) AS h
) AS counted
WHERE line.queue IS NOT NULL
