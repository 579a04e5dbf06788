-- Ask tasks that have not ended to abort by themselves; a request to end as revoked stays.
-- Plan: Index Scan using djtasks_message_pkey.
UPDATE djtasks_message
SET abort = %(abort)s
WHERE id = ANY (ARRAY(
    SELECT m.id FROM djtasks_message m
    WHERE m.id = ANY (%(ids)s::uuid[])
      AND (NOT %(running)s::bool OR m.worker_id IS NOT NULL)
      AND m.abort IS DISTINCT FROM 'REVOKED'
    -- Waits for a turn that is ending it: what has ended then is not found.
    FOR UPDATE
))
RETURNING id
