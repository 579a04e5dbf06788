-- Give back what is claimed for a worker that does not know of it: after a lost connection a
-- claim may have been committed whose answer never came.
-- Plan: Seq Scan on djtasks_message, once after a loss.
UPDATE djtasks_message
SET worker_id = NULL, started_at = NULL,
    state = CASE WHEN fair IS NULL THEN state ELSE 5 END
WHERE worker_id = %(worker)s AND id <> ALL (%(held)s::uuid[])
