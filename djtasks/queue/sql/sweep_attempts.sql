-- Look through a batch of attempts, in the order in which they were, for expired ones of tasks
-- that left no result and are not queued any more, and delete those. The other attempts go with
-- the result. Tells where the next batch begins: nothing behind the last, or if it is all young.
-- Plan: Limit > Index Scan using djtasks_attempt_pkey, then Index Scans using the primary keys.
WITH batch AS (
    SELECT id, task_id, ended_at < now() - make_interval(secs => %(age)s) AS old
    FROM djtasks_attempt
    WHERE id > %(after)s
    ORDER BY id
    LIMIT %(limit)s
), gone AS (
    DELETE FROM djtasks_attempt a USING batch b
    WHERE a.id = ANY (ARRAY[b.id])
      AND b.old
      AND NOT EXISTS (SELECT FROM djtasks_message m WHERE m.id = ANY (ARRAY[b.task_id]))
      AND NOT EXISTS (SELECT FROM djtasks_taskresult r WHERE r.id = ANY (ARRAY[b.task_id]))
)
SELECT max(id) FROM batch HAVING count(*) = %(limit)s AND bool_or(old)
