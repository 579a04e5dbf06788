-- Tasks that failed in the last minutes: how many ended and failed, and how many in the hours of
-- the day before.
-- Plan: HashAggregates over Index Scans using djtasks_activity_pkey (span and time).
WITH recent AS (
    SELECT a.task, sum(a.succeeded + a.failed) AS ended, sum(a.failed) AS failed
    FROM djtasks_activity a
    WHERE a.span = 60 AND a.at > now() - make_interval(secs => %(recent)s)
    GROUP BY a.task
    HAVING sum(a.failed) >= %(least)s
), before AS (
    SELECT a.task, sum(a.succeeded + a.failed) AS ended, sum(a.failed) AS failed
    FROM djtasks_activity a
    WHERE a.span = 3600
      AND a.at > now() - interval '24 hours'
      AND a.at <= now() - interval '1 hour' - make_interval(secs => %(recent)s)
    GROUP BY a.task
)
SELECT r.task, r.ended::bigint, r.failed::bigint,
       coalesce(b.ended, 0)::bigint, coalesce(b.failed, 0)::bigint
FROM recent r
LEFT JOIN before b ON b.task = r.task
ORDER BY r.failed DESC, r.task
