-- The messages of workers that are gone: the dead ones, and ids that no worker has any more.
-- Plan: Seq Scan on djtasks_message is accepted here: rescue is rare, and claims stay free of
-- an index on the worker.
SELECT m.id, m.task, m.worker_id, m.deliveries, m.retries, m.queue,
       coalesce(extract(epoch FROM now() - m.started_at)::float8, 0)
FROM djtasks_message m
WHERE m.worker_id IS NOT NULL
  AND (m.worker_id = ANY (%(dead)s)
       OR NOT EXISTS (SELECT FROM djtasks_worker w WHERE w.id = m.worker_id))
FOR UPDATE SKIP LOCKED
