-- Schedules that cannot be sent, and those that somebody should have sent by now: their names, why,
-- and for how many seconds they have been late. Those that are late for long come first.
-- Plan: Limit > Index Scan using djtasks_periodictask_due.
SELECT p.name, p.error, extract(epoch FROM now() - p.next_run_at)::float8
FROM djtasks_periodictask p
WHERE p.enabled AND p.source <> 'removed'
  AND p.next_run_at < now() - CASE
      WHEN p.error <> '' THEN interval '0' ELSE make_interval(secs => %(seconds)s)
  END
ORDER BY p.next_run_at
LIMIT %(limit)s
