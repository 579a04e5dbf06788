-- Add what a worker has counted to the spans of time that it falls into.
-- In one order, whoever writes: two workers that count the same tasks never wait in a circle.
-- Plan: Insert on djtasks_activity (conflicts by the primary key), Sort, Function Scans.
INSERT INTO djtasks_activity AS a
    (span, at, queue, task, succeeded, failed, retried, longest, runtimes)
SELECT s.span,
       date_bin(make_interval(secs => s.span), now() - make_interval(secs => %(age)s),
                to_timestamp(0)) AS at,
       t.queue, t.task, t.succeeded, t.failed, t.retried, t.longest, t.runtimes
FROM json_to_recordset(%(counts)s::json) AS t
    (queue text, task text, succeeded bigint, failed bigint, retried bigint,
     longest float8, runtimes json)
CROSS JOIN unnest(%(spans)s::int[]) AS s (span)
ORDER BY s.span, at, t.queue, t.task
ON CONFLICT (span, at, queue, task) DO UPDATE SET
    succeeded = a.succeeded + excluded.succeeded,
    failed = a.failed + excluded.failed,
    retried = a.retried + excluded.retried,
    longest = greatest(a.longest, excluded.longest),
    runtimes = (
        SELECT coalesce(json_object_agg(added.key, added.ran), '{}')
        FROM (
            SELECT ran.key, sum(ran.value::bigint) AS ran
            FROM (
                SELECT * FROM json_each_text(a.runtimes)
                UNION ALL
                SELECT * FROM json_each_text(excluded.runtimes)
            ) AS ran
            GROUP BY ran.key
        ) AS added
    )
