-- Failures by task and exception since a time, the latest first: when the first and the last was,
-- and how many, counted to a limit. What may be counted is shared by all groups that are shown.
-- Plan: Recursive Union of Limit > Append of Index Only Scans Backward using djtasks_taskresult_failed,
-- so that the first row of each group is its latest: the next exception of the task (failures
-- without one come first), then the next task; two probes a group.
-- Then Nested Loops with Limit > Index Only Scan using it, each in the range of one group. Those
-- without an exception are in the order of the index only if it is named, though it is null.
WITH RECURSIVE kind (task, exception, last, number) AS (
    (SELECT task, exception, date_done, 1
     FROM djtasks_taskresult
     WHERE state = 'FAILURE' AND date_done IS NOT NULL
     ORDER BY task DESC, exception DESC, date_done DESC
     LIMIT 1)
    UNION ALL
    SELECT n.task, n.exception, n.date_done, kind.number + 1
    FROM kind
    CROSS JOIN LATERAL (
        (SELECT r.task, r.exception, r.date_done
         FROM djtasks_taskresult r
         WHERE r.state = 'FAILURE' AND r.task = kind.task AND r.exception < kind.exception
           AND r.date_done IS NOT NULL
         ORDER BY r.exception DESC, r.date_done DESC
         LIMIT 1)
        UNION ALL
        (SELECT r.task, r.exception, r.date_done
         FROM djtasks_taskresult r
         WHERE r.state = 'FAILURE' AND r.task = kind.task AND r.exception IS NOT NULL
           AND kind.exception IS NULL AND r.date_done IS NOT NULL
         ORDER BY r.exception DESC, r.date_done DESC
         LIMIT 1)
        UNION ALL
        (SELECT r.task, r.exception, r.date_done
         FROM djtasks_taskresult r
         WHERE r.state = 'FAILURE' AND r.task < kind.task AND r.date_done IS NOT NULL
         ORDER BY r.task DESC, r.exception DESC, r.date_done DESC
         LIMIT 1)
        LIMIT 1
    ) AS n
    WHERE kind.number < %(kinds)s
), latest AS MATERIALIZED (
    SELECT kind.task, kind.exception, kind.last
    FROM kind
    WHERE kind.last >= %(since)s
    ORDER BY kind.last DESC, kind.task, kind.exception
    LIMIT %(limit)s
), share (rows) AS (
    SELECT greatest(100, least(%(count)s, %(budget)s / count(*))) FROM latest HAVING count(*) > 0
)
SELECT latest.task, latest.exception, least(counted.number, share.rows),
       counted.number > share.rows, counted.first, latest.last
FROM latest
CROSS JOIN share
CROSS JOIN LATERAL (
    SELECT count(*) AS number, min(s.date_done) AS first
    FROM (
        (SELECT r.date_done
         FROM djtasks_taskresult r
         WHERE r.state = 'FAILURE' AND r.task = latest.task AND r.exception = latest.exception
           AND r.date_done >= %(since)s
         ORDER BY r.date_done
         LIMIT (SELECT rows + 1 FROM share))
        UNION ALL
        (SELECT r.date_done
         FROM djtasks_taskresult r
         WHERE r.state = 'FAILURE' AND r.task = latest.task AND r.exception IS NULL
           AND latest.exception IS NULL AND r.date_done >= %(since)s
         ORDER BY r.exception, r.date_done
         LIMIT (SELECT rows + 1 FROM share))
    ) AS s
) AS counted
ORDER BY latest.last DESC, latest.task, latest.exception
