-- In how many seconds somebody has to look at the next schedule, without those left alone.
-- Plan: Limit > Index Scan using djtasks_periodictask_due, as take.sql.
SELECT extract(epoch FROM p.next_run_at - clock_timestamp())::float8
FROM djtasks_periodictask p
WHERE p.enabled AND p.source <> 'removed' AND p.next_run_at IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM unnest(%(left)s::bigint[], %(changed)s::timestamptz[]) AS l (id, changed_at)
      WHERE l.id = p.id AND l.changed_at = p.changed_at
  )
ORDER BY p.next_run_at
LIMIT 1
