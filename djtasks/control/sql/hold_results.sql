-- Lock the results of tasks that nobody else is changing: their tasks are then decided upon.
-- Plan: LockRows over Index Scan using djtasks_taskresult_pkey.
SELECT id FROM djtasks_taskresult WHERE id = ANY (%(ids)s::uuid[]) FOR UPDATE SKIP LOCKED
