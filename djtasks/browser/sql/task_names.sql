-- The tasks of which most ended in the last day, from the counts of its hours.
-- Plan: Sort over HashAggregate over Index Scan using djtasks_activity_pkey (span and time).
SELECT a.task
FROM djtasks_activity a
WHERE a.span = 3600 AND a.at > now() - interval '24 hours'
GROUP BY a.task
ORDER BY sum(a.succeeded + a.failed) DESC, a.task
LIMIT %(limit)s
