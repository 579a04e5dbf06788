-- The queues that were seen or in which something ended in the last day, with what ended in the
-- last hour; the latest seen are kept if there are too many.
-- Plan: Index Scans using djtasks_queue_pkey and, twice, djtasks_activity_pkey.
SELECT coalesce(q.name, a.queue), q.paused_at, coalesce(q.reason, ''), q.seen_at,
       coalesce(a.succeeded, 0)::bigint, coalesce(a.failed, 0)::bigint
FROM djtasks_queue q
FULL JOIN (
    SELECT d.queue, sum(d.succeeded) AS succeeded, sum(d.failed) AS failed
    FROM (
        SELECT queue, succeeded, failed
        FROM djtasks_activity
        WHERE span = 60 AND at > now() - interval '1 hour'
        UNION ALL
        SELECT queue, 0, 0
        FROM djtasks_activity
        WHERE span = 3600 AND at > now() - interval '24 hours'
    ) AS d
    GROUP BY d.queue
) AS a ON a.queue = q.name
ORDER BY q.paused_at IS NOT NULL DESC, q.seen_at DESC NULLS FIRST
LIMIT %(limit)s
