-- The next ready messages of a queue that nobody runs, behind a place in its order, which were
-- there when purging began.
-- Plan: Limit > Index Scan using djtasks_message_ready.
SELECT rank, seq, id, feeds IS NOT NULL
FROM djtasks_message
WHERE state = 0 AND queue = %(queue)s AND (rank, seq) > (%(rank)s, %(seq)s)
  AND worker_id IS NULL AND enqueued_at <= %(began)s
ORDER BY rank, seq
LIMIT %(limit)s
