-- Delete a small batch of what charts do not show any more: minutes after two hours, ten minutes
-- after a day, hours after a week, each with an hour or more to spare.
-- Plan: Limit > Index Scan using djtasks_activity_pkey, for each span; Tid Scan.
WITH old AS (
    SELECT x.ctid
    FROM (VALUES (60, interval '2 hours'), (600, interval '25 hours'), (3600, interval '8 days'))
        AS s (span, age)
    CROSS JOIN LATERAL (
        SELECT o.ctid
        FROM djtasks_activity o
        WHERE o.span = s.span AND o.at < now() - s.age
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    ) AS x
    LIMIT %(limit)s
), gone AS (
    DELETE FROM djtasks_activity WHERE ctid = ANY (ARRAY(SELECT ctid FROM old)) RETURNING 1
)
SELECT count(*) FROM gone
