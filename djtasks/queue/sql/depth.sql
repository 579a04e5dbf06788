-- Note how many messages are ready in each queue that was seen lately, counted to a limit, and how
-- long the oldest of those had waited that no limit held up. The first look of each span counts.
-- Only one worker does it: the first to look in a minute; the lock keeps two apart that look at
-- once, and to which no other number of this class belongs, for workers' ids begin at 1.
-- Plan: Limits over Index Scans using djtasks_message_ready and _line, for each queue.
WITH turn AS MATERIALIZED (
    SELECT now() AS at
    WHERE NOT EXISTS (
        SELECT FROM djtasks_depth d
        WHERE d.span = 60 AND d.at = date_bin('1 minute', now(), to_timestamp(0))
    )
    AND pg_try_advisory_xact_lock(%(lock_class)s, 0)
)
INSERT INTO djtasks_depth (span, at, queue, ready, latency)
SELECT s.span, date_bin(make_interval(secs => s.span), turn.at, to_timestamp(0)), q.name,
       d.ready, d.latency
FROM turn
CROSS JOIN (
    SELECT name FROM djtasks_queue WHERE seen_at > now() - interval '10 minutes' OFFSET 0
) AS q
CROSS JOIN LATERAL (
    SELECT count(*) AS ready,
           coalesce(max(extract(epoch FROM now() - m.since)) FILTER (WHERE m.gate IS NULL), 0)::float8
               AS latency
    FROM (
        (SELECT greatest(m.enqueued_at, m.eta) AS since, m.gate
         FROM djtasks_message m
         WHERE m.state = 0 AND m.queue = q.name AND m.worker_id IS NULL
         ORDER BY m.rank, m.seq
         LIMIT %(most)s)
        UNION ALL
        (SELECT greatest(m.enqueued_at, m.eta), m.gate
         FROM djtasks_message m
         WHERE m.state = 5 AND m.queue = q.name
         ORDER BY m.fair, m.rank, m.seq
         LIMIT %(most)s)
        LIMIT %(most)s
    ) AS m
) AS d
CROSS JOIN unnest(%(spans)s::int[]) AS s (span)
ON CONFLICT (span, at, queue) DO NOTHING
