-- Delete the places of messages that are gone. The lanes are locked.
-- Plan: Index Scan using djtasks_place_pkey; SubPlan with Index Only Scan using djtasks_message_pkey.
DELETE FROM djtasks_place p
WHERE p.lane = ANY (%(lanes)s::text[])
  AND NOT EXISTS (SELECT FROM djtasks_message m WHERE m.id = ANY (ARRAY[p.message_id]))
