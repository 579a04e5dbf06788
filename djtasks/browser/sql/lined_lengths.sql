-- How many messages stand in the lines of each queue, and for how many seconds the oldest of those
-- that were counted have waited. What may be counted is shared by all queues; the last column says
-- that there are more.
-- Plan: Recursive Union of Limit > Index Only Scan using djtasks_message_line (one probe a queue),
-- then Nested Loop with Limit > Index Scan using it.
WITH RECURSIVE line (queue) AS (
    (SELECT queue FROM djtasks_message WHERE state = 5 ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT m.queue FROM djtasks_message m
            WHERE m.state = 5 AND m.queue > line.queue
            ORDER BY m.queue LIMIT 1)
    FROM line
    WHERE line.queue IS NOT NULL
), share (rows) AS (
    SELECT greatest(100, least(%(limit)s, %(budget)s / count(queue))) FROM line HAVING count(queue) > 0
)
SELECT line.queue, least(counted.number, share.rows),
       extract(epoch FROM now() - counted.since)::float8, counted.number > share.rows
FROM line
CROSS JOIN share
CROSS JOIN LATERAL (
    SELECT count(*) AS number, min(c.since) AS since
    FROM (
        SELECT greatest(m.enqueued_at, m.eta) AS since
        FROM djtasks_message m
        WHERE m.state = 5 AND m.queue = line.queue
        ORDER BY m.fair, m.rank, m.seq
        LIMIT (SELECT rows + 1 FROM share)
    ) AS c
) AS counted
WHERE line.queue IS NOT NULL
