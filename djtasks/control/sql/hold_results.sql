-- Lock the results of tasks that have ended and that nobody else is changing: they are decided upon
-- afterwards. The result of a queued one is left alone, for its worker may be about to write it.
-- Plan: LockRows over an anti join of Index Scans using the primary keys.
SELECT r.id
FROM djtasks_taskresult r
WHERE r.id = ANY (%(ids)s::uuid[])
  AND NOT EXISTS (SELECT FROM djtasks_message m WHERE m.id = ANY (ARRAY[r.id]))
FOR UPDATE OF r SKIP LOCKED
