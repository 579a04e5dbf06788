-- Wake idle workers that serve a queue, after the messages were committed.
-- NOTIFY takes a lock that is global to the server and held through the commit: it never rides
-- in the transaction that enqueues, and it is not sent at all while workers are busy.
-- The channel says whether the messages are ready (djtasks_wake) or scheduled (djtasks_due).
-- A function, made by the migration, for its plan is kept by the session: 0.1 ms of each call.
SELECT djtasks_wake(%(channel)s, %(queue)s)
