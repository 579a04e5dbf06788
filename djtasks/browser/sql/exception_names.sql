-- The exceptions of the latest failures, the most frequent first.
-- Plan: Sort over HashAggregate over Limit > Index Scan Backward using djtasks_taskresult_bad.
SELECT f.exception
FROM (
    SELECT r.exception FROM djtasks_taskresult r
    -- All states of that index, and of them the first of the alphabet: said like this, no other
    -- index has the order. Of one that the planner believes to be empty it would sort all.
    WHERE r.state IN ('FAILURE', 'REJECTED', 'REVOKED') AND r.state <= 'FAILURE'
    ORDER BY r.state DESC, r.date_done DESC
    LIMIT %(recent)s
) f
WHERE f.exception IS NOT NULL
GROUP BY f.exception
ORDER BY count(*) DESC, f.exception
LIMIT %(limit)s
