-- Wake idle workers that serve a queue, after the messages were committed.
-- NOTIFY takes a lock that is global to the server and held through the commit: it never rides
-- in the transaction that enqueues, and it is not sent at all while workers are busy.
-- The channel says whether the messages are ready (djtasks_wake) or scheduled (djtasks_due).
SELECT pg_notify(%(channel)s, %(queue)s)
WHERE EXISTS (
    SELECT FROM djtasks_worker
    WHERE wants_work
      AND (queues IS NULL OR %(queue)s = ANY (queues))
      AND NOT (%(queue)s = ANY (excluded_queues))
)
