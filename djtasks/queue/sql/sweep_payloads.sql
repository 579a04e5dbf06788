-- Remove large arguments whose message and result were deleted by hand.
-- Plan: Seq Scan on djtasks_payload, Index Only Scan using both primary keys; once an hour.
DELETE FROM djtasks_payload p
WHERE NOT EXISTS (SELECT FROM djtasks_message m WHERE m.id = p.id)
  AND NOT EXISTS (SELECT FROM djtasks_taskresult r WHERE r.id = p.id)
