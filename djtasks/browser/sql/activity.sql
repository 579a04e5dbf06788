-- What ended in each span of a range, by queue and task: of the tasks that ended most often with how
-- long they ran, of all others together only how many.
-- Plan: Append of Index Scans with hashed SubPlans, all three using
-- djtasks_activity_pkey (span and time). To write run times as text, or to keep them, costs more than
-- to read them three times.
WITH part AS NOT MATERIALIZED (
    SELECT extract(epoch FROM a.at)::bigint / %(span)s * %(span)s AS at, a.queue, a.task,
           a.succeeded, a.failed, a.retried, a.longest, a.runtimes
    FROM djtasks_activity a
    WHERE a.span = %(span)s
      AND a.at >= to_timestamp(%(since)s)
      AND a.at < to_timestamp(%(until)s)
      AND (%(queue)s::text IS NULL OR a.queue = %(queue)s::text)
      AND (%(task)s::text IS NULL OR a.task = %(task)s::text)
), busiest AS MATERIALIZED (
    SELECT p.task
    FROM part p
    GROUP BY p.task
    ORDER BY sum(p.succeeded + p.failed) DESC, p.task
    LIMIT %(tasks)s
)
SELECT p.at, p.queue, p.task, p.succeeded, p.failed, p.retried, p.longest, p.runtimes::text
FROM part p
WHERE (p.task IN (SELECT b.task FROM busiest b)) IS TRUE
UNION ALL
SELECT p.at, p.queue, NULL, sum(p.succeeded)::bigint, sum(p.failed)::bigint,
       sum(p.retried)::bigint, 0, '{}'
FROM part p
WHERE (p.task IN (SELECT b.task FROM busiest b)) IS NOT TRUE
GROUP BY p.at, p.queue
