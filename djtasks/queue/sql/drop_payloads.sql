-- Delete large arguments, kept under their message's id, whose task left no result.
-- Plan: Index Scan using djtasks_payload_pkey, Index Only Scan using djtasks_taskresult_pkey.
DELETE FROM djtasks_payload p
WHERE p.id = ANY (%(ids)s::uuid[])
  AND NOT EXISTS (SELECT FROM djtasks_taskresult r WHERE r.id = p.id)
