-- The exceptions of the latest failures, the most frequent first.
-- Plan: Sort over HashAggregate over Limit > Index Scan Backward using djtasks_taskresult_bad.
SELECT f.exception
FROM (
    SELECT r.exception FROM djtasks_taskresult r
    WHERE r.state = 'FAILURE'
    ORDER BY r.date_done DESC
    LIMIT %(recent)s
) f
WHERE f.exception IS NOT NULL
GROUP BY f.exception
ORDER BY count(*) DESC, f.exception
LIMIT %(limit)s
