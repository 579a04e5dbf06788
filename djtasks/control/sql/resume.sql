-- Let claims take from a queue again. No row: it was not paused.
UPDATE djtasks_queue SET paused_at = NULL, reason = ''
WHERE name = %(queue)s AND paused_at IS NOT NULL
RETURNING name
