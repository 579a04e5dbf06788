-- A schedule was looked at: when to do so again, and what was sent.
-- Plan: Update > Index Scan using djtasks_periodictask_pkey.
UPDATE djtasks_periodictask
SET planned = true,
    next_run_at = %(next)s,
    last_run_at = coalesce(%(ran)s, last_run_at),
    last_task_id = coalesce(%(task_id)s, last_task_id),
    total_run_count = total_run_count + CASE WHEN %(task_id)s::uuid IS NULL THEN 0 ELSE 1 END,
    error = ''
WHERE id = %(id)s
