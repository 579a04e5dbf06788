-- Look through a batch of unique keys, in their order, for those that mean nothing any more, and
-- lock them; the place behind it is where the next batch begins. Whether they still mean nothing
-- is asked once more by sweep_unique.sql, which sees what was committed before the locks were had.
-- One that is unique while queued keeps its row while it runs, for it may be put back.
-- Plan: Limit > Index Scan using djtasks_unique_pkey, Index Scans using the primary keys; LockRows.
WITH batch AS MATERIALIZED (
    SELECT key, task_id, until
    FROM djtasks_unique
    WHERE key > %(after)s
    ORDER BY key
    LIMIT %(limit)s
), stale AS (
    SELECT u.key
    FROM batch b
    JOIN djtasks_unique u ON u.key = ANY (ARRAY[b.key])
    WHERE (b.until IS NULL OR b.until < now())
      AND NOT EXISTS (SELECT FROM djtasks_message m WHERE m.id = ANY (ARRAY[b.task_id]))
    FOR UPDATE OF u SKIP LOCKED
)
SELECT coalesce((SELECT array_agg(key) FROM stale), '{}'),
       (SELECT max(key) FROM batch HAVING count(*) = %(limit)s)
