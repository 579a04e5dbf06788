-- What ended of some tasks in each span of a range, and how long it ran.
-- Plan: a scan of djtasks_activity by djtasks_activity_pkey (span, time and task).
SELECT floor(date_part('epoch', a.at))::bigint, a.task, a.succeeded, a.failed, a.retried, a.longest,
       a.runtimes::text
FROM djtasks_activity a
WHERE a.span = %(span)s
  AND a.at >= to_timestamp(%(since)s)
  AND a.at < to_timestamp(%(until)s)
  AND a.task = ANY (%(tasks)s::text[])
  AND (%(queue)s::text IS NULL OR a.queue = %(queue)s::text)
