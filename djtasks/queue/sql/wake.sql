-- Wake idle workers that serve a queue, after the messages were committed.
-- NOTIFY takes a lock that is global to the server and held through the commit: it never rides
-- in the transaction that enqueues, and it is not sent at all while workers are busy.
-- The channel says whether the messages are ready (djtasks_wake) or scheduled (djtasks_due).
SELECT pg_notify(%s, q.queue)
FROM unnest(%s::text[]) AS q (queue)
WHERE EXISTS (
    SELECT FROM djtasks_worker w
    WHERE w.wants_work
      AND (w.queues IS NULL OR q.queue = ANY (w.queues))
      AND NOT (q.queue = ANY (w.excluded_queues))
)
