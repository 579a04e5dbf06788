-- Delete those of the locked unique keys that still mean nothing.
-- Plan: Delete, Index Scan using djtasks_unique_pkey, Index Scan using djtasks_message_pkey (loops).
DELETE FROM djtasks_unique u
WHERE u.key = ANY (%(keys)s::text[])
  AND (u.until IS NULL OR u.until < now())
  AND NOT EXISTS (SELECT FROM djtasks_message m WHERE m.id = ANY (ARRAY[u.task_id]))
