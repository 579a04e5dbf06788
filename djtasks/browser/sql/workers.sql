-- All workers. A server that has only just started leaves them time to come back, as those do who
-- give up the dead.
-- Plan: Sort over an Index Scan using djtasks_worker_pkey (a handful of rows).
SELECT w.id, w.hostname, w.pid, w.pool, w.concurrency, w.busy, w.version,
       now() - greatest(w.heartbeat, pg_postmaster_start_time() + interval '5 seconds')
           <= make_interval(secs => w.lease),
       w.quiet, w.memory, w.started_at, w.heartbeat,
       greatest(0, extract(epoch FROM now() - w.heartbeat))::float8,
       w.queues, w.excluded_queues, w.orders, w.running, now()
FROM djtasks_worker w
ORDER BY w.hostname, w.id
