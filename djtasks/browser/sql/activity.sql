-- What ended in a range: in each span by queue, and in all spans together by task.
-- Plan: HashAggregate over a scan of djtasks_activity by djtasks_activity_pkey (span and time).
SELECT a.at, a.queue, a.task, sum(a.succeeded)::bigint, sum(a.failed)::bigint,
       sum(a.retried)::bigint
FROM (
    SELECT extract(epoch FROM d.at)::bigint / %(span)s * %(span)s AS at, d.queue, d.task,
           d.succeeded, d.failed, d.retried
    FROM djtasks_activity d
    WHERE d.span = %(span)s
      AND d.at >= to_timestamp(%(since)s)
      AND d.at < to_timestamp(%(until)s)
      AND (%(queue)s::text IS NULL OR d.queue = %(queue)s::text)
      AND (%(task)s::text IS NULL OR d.task = %(task)s::text)
) AS a
GROUP BY GROUPING SETS ((a.at, a.queue), (a.task))
