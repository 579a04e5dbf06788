-- Why a schedule could not be sent, unless it says so already or was changed meanwhile. Somebody who
-- has it may be sending it.
-- Plan: Update > Nested Loop over LockRows and an Index Scan, both of djtasks_periodictask_pkey.
UPDATE djtasks_periodictask p
SET error = %(error)s
FROM (
    SELECT id
    FROM djtasks_periodictask
    WHERE id = %(id)s AND changed_at = %(changed)s AND error <> %(error)s
    FOR UPDATE SKIP LOCKED
) AS found
WHERE p.id = found.id
RETURNING p.name
