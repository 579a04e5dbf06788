-- The workers that are known, each name once.
-- Plan: Unique over Sort over a scan of djtasks_worker (a handful of rows).
SELECT DISTINCT w.hostname
FROM djtasks_worker w
ORDER BY w.hostname
LIMIT %(limit)s
