-- What ended in a range: in each span by queue, and in all spans together by task.
-- The times of rows are grouped by as they are, and made numbers once a group, not once a row.
-- Plan: HashAggregate over a scan of djtasks_activity by djtasks_activity_pkey (span and time).
SELECT floor(date_part('epoch', a.at))::bigint, a.queue, a.task, sum(a.succeeded)::bigint,
       sum(a.failed)::bigint, sum(a.retried)::bigint
FROM djtasks_activity a
WHERE a.span = %(span)s
  AND a.at >= to_timestamp(%(since)s)
  AND a.at < to_timestamp(%(until)s)
  AND (%(queue)s::text IS NULL OR a.queue = %(queue)s::text)
  AND (%(task)s::text IS NULL OR a.task = %(task)s::text)
GROUP BY GROUPING SETS ((a.at, a.queue), (a.task))
