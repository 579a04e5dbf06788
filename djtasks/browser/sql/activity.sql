-- What ended in each span of a range, by queue and task.
-- Plan: Index Scan using djtasks_activity_pkey (span and time).
SELECT extract(epoch FROM a.at)::bigint / %(span)s * %(span)s, a.queue, a.task,
       a.succeeded, a.failed, a.retried, a.longest, a.runtimes::text
FROM djtasks_activity a
WHERE a.span = %(span)s
  AND a.at >= to_timestamp(%(since)s)
  AND a.at < to_timestamp(%(until)s)
  AND (%(queue)s::text IS NULL OR a.queue = %(queue)s::text)
  AND (%(task)s::text IS NULL OR a.task = %(task)s::text)
