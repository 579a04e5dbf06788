-- Note the queues that there are: those that the worker names, and those that hold ready messages.
-- What was noted within a minute is left alone, so that a row is written once for all workers.
-- Plan: Index Scans using djtasks_queue_pkey and, one probe a queue, djtasks_message_ready and _line.
WITH RECURSIVE ready (queue) AS (
    (SELECT queue FROM djtasks_message WHERE state = 0 ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT m.queue FROM djtasks_message m
            WHERE m.state = 0 AND m.queue > ready.queue
            ORDER BY m.queue LIMIT 1)
    FROM ready
    WHERE ready.queue IS NOT NULL
), lined (queue) AS (
    (SELECT queue FROM djtasks_message WHERE state = 5 ORDER BY queue, fair, rank, seq LIMIT 1)
    UNION ALL
    SELECT (SELECT m.queue FROM djtasks_message m
            WHERE m.state = 5 AND m.queue > lined.queue
            ORDER BY m.queue, m.fair, m.rank, m.seq LIMIT 1)
    FROM lined
    WHERE lined.queue IS NOT NULL
), seen (name) AS (
    SELECT queue FROM ready WHERE queue IS NOT NULL
    UNION
    SELECT queue FROM lined WHERE queue IS NOT NULL
    UNION
    SELECT unnest(%(queues)s::text[])
)
INSERT INTO djtasks_queue (name)
SELECT s.name
FROM seen s
WHERE NOT EXISTS (
    SELECT FROM djtasks_queue q
    WHERE q.name = s.name AND q.seen_at > now() - interval '50 seconds'
)
ORDER BY s.name
ON CONFLICT (name) DO UPDATE SET seen_at = now()
