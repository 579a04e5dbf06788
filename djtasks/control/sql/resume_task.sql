-- Let claims take messages of a task again. No row: it was not paused.
UPDATE djtasks_tasksetting SET paused_at = NULL, reason = '', changed_at = now()
WHERE name = %(task)s AND paused_at IS NOT NULL
RETURNING name
