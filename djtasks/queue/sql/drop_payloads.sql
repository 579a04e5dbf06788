-- Delete large arguments whose task ended without a stored result.
DELETE FROM djtasks_payload p WHERE p.id = ANY (%(ids)s::uuid[])
  AND NOT EXISTS (SELECT FROM djtasks_taskresult r WHERE r.payload_id = p.id)
