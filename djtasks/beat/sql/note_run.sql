-- A schedule was sent by hand; its ticks go on as they would have.
-- Plan: Update > Index Scan using djtasks_periodictask_pkey.
UPDATE djtasks_periodictask
SET last_run_at = clock_timestamp(),
    last_task_id = %(task_id)s,
    total_run_count = total_run_count + 1
WHERE id = %(id)s
