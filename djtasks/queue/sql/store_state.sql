-- Store a custom state of a task that has not ended, with its meta data.
-- An end that is already stored stays: the first terminal state wins.
INSERT INTO djtasks_taskresult AS r
    (id, custom_id, task, state, queue, rank, payload, payload_id, options, result, traceback,
     retries, deliveries, enqueued_at, started_at, updated_at, date_done, root_id, parent_id)
SELECT i.id, coalesce(m.custom_id, i.custom_id), coalesce(m.task, i.task), i.state,
       coalesce(m.queue, ''), coalesce(m.rank, 0), m.payload, m.payload_id, m.options,
       i.result, i.traceback, coalesce(m.retries, 0), coalesce(m.deliveries, 0),
       m.enqueued_at, m.started_at, clock_timestamp(),
       CASE WHEN i.state IN ('SUCCESS', 'FAILURE', 'REVOKED') THEN clock_timestamp() END,
       m.root_id, m.parent_id
FROM (VALUES (%(id)s::uuid, %(custom_id)s::text, %(task)s::text, %(state)s::text,
              %(result)s::text, %(traceback)s::text))
    AS i (id, custom_id, task, state, result, traceback)
LEFT JOIN djtasks_message m ON m.id = i.id
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, result = excluded.result, traceback = excluded.traceback,
    updated_at = excluded.updated_at,
    date_done = excluded.date_done
WHERE r.state NOT IN ('SUCCESS', 'FAILURE', 'REVOKED')
   OR EXISTS (SELECT FROM djtasks_message m WHERE m.id = r.id)
