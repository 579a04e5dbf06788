-- Take one schedule that somebody has to look at now, by the database's clock; those that another
-- one has taken are passed over, and so are those that this process leaves alone. The rest of the row
-- is read by itself: what cannot be read is of this row then.
-- Plan: LockRows > Index Scan using djtasks_periodictask_due, and for each row a scan of the few
-- that are left alone.
SELECT p.id, p.changed_at, clock_timestamp(),
       extract(epoch FROM clock_timestamp() - p.next_run_at)::float8
FROM djtasks_periodictask p
WHERE p.enabled AND p.source <> 'removed'
  AND p.next_run_at <= clock_timestamp()
  AND NOT EXISTS (
      SELECT FROM unnest(%(left)s::bigint[], %(changed)s::timestamptz[]) AS l (id, changed_at)
      WHERE l.id = p.id AND l.changed_at = p.changed_at
  )
ORDER BY p.next_run_at
LIMIT 1
FOR UPDATE OF p SKIP LOCKED
