-- The next messages of a queue that are held because their task is paused.
-- Plan: Limit > Index Scan using djtasks_message_held, filtered by queue: one pass over what is held.
SELECT task, seq, id, feeds IS NOT NULL
FROM djtasks_message
WHERE state = 4 AND queue = %(queue)s AND (task, seq) > (%(task)s, %(seq)s)
  AND worker_id IS NULL AND enqueued_at <= %(began)s
ORDER BY task, seq
LIMIT %(limit)s
