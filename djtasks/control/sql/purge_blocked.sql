-- The next blocked messages of a queue, in the order of what blocks them.
-- Plan: Limit > Index Scan using djtasks_message_gate, filtered by queue: one pass over what is
-- blocked, whatever the queue.
SELECT gate, rank, seq, id, feeds IS NOT NULL
FROM djtasks_message
WHERE gate IS NOT NULL AND state = 3 AND queue = %(queue)s
  AND (gate, state, rank, seq) > (%(gate)s, 3::smallint, %(rank)s, %(seq)s)
  AND worker_id IS NULL AND enqueued_at <= %(began)s
ORDER BY gate, state, rank, seq
LIMIT %(limit)s
