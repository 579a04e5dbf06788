-- Take one schedule that somebody has to look at now, by the database's clock; those that another
-- one has taken are passed over, and so are those that this process was told to leave alone.
-- Plan: LockRows > Index Scan using djtasks_periodictask_due, and for each row a scan of the few
-- that are left alone.
SELECT p.*, clock_timestamp() AS now
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
