-- Tasks as lists show them: message and result together, long texts cut by the server.
-- Long options, as of calls with many links, are not sent; that they hide arguments must be.
-- Plan: Nested Loops over the ids, Index Scans using the primary keys.
SELECT i.id,
       m.id IS NOT NULL,
       coalesce(m.custom_id, r.custom_id),
       coalesce(m.task, r.task),
       CASE WHEN m.id IS NULL THEN r.state
            WHEN m.worker_id IS NOT NULL THEN 'RUNNING'
            WHEN m.state = 2 THEN 'WAITING'
            WHEN m.state = 3 THEN 'BLOCKED'
            WHEN m.state = 1 AND m.retries > 0 THEN 'RETRY'
            WHEN m.state = 1 THEN 'SCHEDULED'
            ELSE 'READY'
       END,
       CASE WHEN m.id IS NOT NULL AND r.date_done IS NULL THEN r.state END,
       coalesce(m.queue, r.queue),
       -coalesce(m.rank, r.rank),
       left(coalesce(m.payload, r.payload), %(preview)s),
       coalesce(m.payload_id, r.payload_id),
       CASE WHEN length(coalesce(m.options, r.options)) <= 20000 THEN coalesce(m.options, r.options)
            WHEN strpos(coalesce(m.options, r.options), 'argsrepr') > 0
            THEN '{"argsrepr": "(…)", "kwargsrepr": "{…}"}'
       END,
       coalesce(m.retries, r.retries),
       coalesce(m.deliveries, r.deliveries),
       coalesce(m.enqueued_at, r.enqueued_at),
       CASE WHEN m.id IS NULL THEN r.eta ELSE m.eta END,
       m.expires,
       CASE WHEN m.id IS NULL THEN r.started_at
            WHEN m.worker_id IS NOT NULL THEN m.started_at
       END,
       CASE WHEN m.id IS NULL THEN r.date_done END,
       CASE WHEN m.id IS NULL THEN r.runtime END,
       CASE WHEN m.id IS NULL THEN r.worker ELSE w.hostname END,
       m.worker_id,
       r.exception,
       CASE WHEN r.exception IS NOT NULL THEN left(r.result, 1000) END,
       coalesce(m.root_id, r.root_id),
       coalesce(m.parent_id, r.parent_id),
       coalesce(m.after, r.after),
       coalesce(m.feeds, r.feeds),
       coalesce(m.position, r.position),
       m.unknown_since,
       m.lane,
       CASE WHEN m.state = 3 AND m.worker_id IS NULL THEN m.gate END
FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY AS i (id, place)
LEFT JOIN djtasks_message m ON m.id = i.id
LEFT JOIN djtasks_taskresult r ON r.id = i.id
LEFT JOIN djtasks_worker w ON w.id = m.worker_id
WHERE m.id IS NOT NULL OR r.id IS NOT NULL
ORDER BY i.place
