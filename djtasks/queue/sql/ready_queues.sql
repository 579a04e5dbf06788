-- The names of the queues that hold messages, ready or in line, and are not paused: a loose index scan, one
-- probe a queue.
-- Plan: Recursive Unions of Limit > Index Only Scan using djtasks_message_ready and _line.
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
)
SELECT queue
FROM (SELECT r.queue FROM ready r UNION SELECT l.queue FROM lined l) AS held
WHERE queue IS NOT NULL
  AND EXISTS (
      SELECT FROM djtasks_queue q WHERE q.name = held.queue AND q.paused_at IS NOT NULL
  ) IS NOT TRUE
