-- Remove workers whose lease has run out and whose lock nobody holds, and name them.
-- A server that has only just started leaves them time to come back, for nobody could renew.
-- Plan: Seq Scan on djtasks_worker (a handful of rows).
-- pg_try_advisory_xact_lock keeps two rescuers apart: whoever gets it does the whole rescue.
SELECT w.id, w.hostname
FROM djtasks_worker w
WHERE CASE
    WHEN now() - greatest(w.heartbeat, pg_postmaster_start_time() + interval '5 seconds')
         > make_interval(secs => w.lease)
    -- In a CASE, for conditions joined by AND are tried in the planner's order: the locks of
    -- all workers would be taken for a moment, every second.
    THEN pg_try_advisory_xact_lock(%(lock_class)s, w.id)
    ELSE false
END
FOR UPDATE SKIP LOCKED
