-- The next waiting messages of a queue, in the order of the joins that they wait for.
-- Plan: Limit > Incremental Sort > Index Scan using djtasks_message_after, filtered by queue.
SELECT after, id, feeds IS NOT NULL
FROM djtasks_message
WHERE state = 2 AND queue = %(queue)s AND after >= %(after)s AND (after, id) > (%(after)s, %(id)s)
  AND worker_id IS NULL AND enqueued_at <= %(began)s
ORDER BY after, id
LIMIT %(limit)s
