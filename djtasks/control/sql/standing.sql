-- How tasks stand: all that decides which operations take them.
-- Plan: Nested Loops over the ids, Index Scans using the primary keys.
SELECT i.id,
       m.state,
       m.worker_id,
       w.pool,
       r.id IS NOT NULL,
       r.date_done IS NOT NULL,
       r.state = 'SUCCESS',
       -- What update_state() stored for an id that nobody enqueued has no call.
       r.task <> '' AND r.queue <> '' AND (r.payload IS NOT NULL OR r.payload_id IS NOT NULL),
       -- What ends before it began had not got the results that go before its arguments.
       r.after IS NOT NULL AND r.started_at IS NULL,
       CASE WHEN m.id IS NULL THEN r.date_done ELSE m.enqueued_at END,
       starts_with(m.lane, 'order:') IS TRUE,
       -- What a unique task needs to be queued again.
       CASE WHEN m.id IS NULL AND r.options LIKE '%%"unique":%%' THEN r.options END
FROM unnest(%(ids)s::uuid[]) AS i (id)
LEFT JOIN djtasks_message m ON m.id = i.id
LEFT JOIN djtasks_worker w ON w.id = m.worker_id
LEFT JOIN djtasks_taskresult r ON r.id = i.id
