-- Renew a worker's lease with the database's clock, say what it does, and read what it is told and
-- whether it is asked something.
-- No row: others have given this worker up. A quiet worker is not to be woken.
UPDATE djtasks_worker
SET heartbeat = now(),
    quiet = %(quiet)s,
    wants_work = wants_work AND NOT %(quiet)s,
    busy = %(busy)s,
    running = %(running)s,
    memory = coalesce(%(memory)s, memory)
WHERE id = %(worker)s
RETURNING orders,
          EXISTS (
              SELECT FROM djtasks_question q WHERE q.worker_id = %(worker)s AND q.answer IS NULL
          )
