-- The next scheduled messages of a queue, in the order of their times.
-- Plan: Limit > Incremental Sort > Index Scan using djtasks_message_due, filtered by queue: one
-- pass over what is scheduled, whatever the queue.
SELECT eta, id, feeds IS NOT NULL
FROM djtasks_message
WHERE state = 1 AND queue = %(queue)s AND eta >= %(eta)s AND (eta, id) > (%(eta)s, %(id)s)
  AND worker_id IS NULL AND enqueued_at <= %(began)s
ORDER BY eta, id
LIMIT %(limit)s
