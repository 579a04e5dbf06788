-- Why a schedule could not be sent, unless it says so already or was changed meanwhile.
-- Plan: Update > Index Scan using djtasks_periodictask_pkey.
UPDATE djtasks_periodictask
SET error = %(error)s
WHERE id = %(id)s AND changed_at = %(changed)s AND error <> %(error)s
RETURNING name
