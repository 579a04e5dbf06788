-- Store the ends of calls that were never enqueued, for other tasks have their unique keys, where
-- nobody is there to be told: their handles speak of these. Nothing is said of an id of the
-- caller's own that is queued for another call.
-- Plan: Insert on djtasks_taskresult, Function Scan, Index Scan using djtasks_message_pkey (a loop).
INSERT INTO djtasks_taskresult AS r
    (id, custom_id, task, state, queue, rank, payload, payload_id, options, result, exception,
     worker, retries, deliveries, enqueued_at, eta, updated_at, date_done, root_id, parent_id)
SELECT n.id, n.custom_id, n.task, 'REVOKED', n.queue, coalesce(n.rank, 0), n.payload::text,
       n.payload_id, n.options::text, n.refusal::text, 'TaskRevokedError',
       '', coalesce(n.retries, 0), 0, now(), n.eta, now(), now(), n.root_id, n.parent_id
FROM json_to_recordset(%(messages)s::json) AS n
    (id uuid, task text, payload json, payload_id uuid, queue text, rank int,
     eta timestamptz, retries int, custom_id text, root_id uuid, parent_id uuid,
     options json, refusal json)
WHERE NOT EXISTS (SELECT FROM djtasks_message m WHERE m.id = ANY (ARRAY[n.id]))
ON CONFLICT (id) DO UPDATE SET
    custom_id = excluded.custom_id, task = excluded.task, state = excluded.state,
    queue = excluded.queue, rank = excluded.rank, payload = excluded.payload,
    payload_id = excluded.payload_id, options = excluded.options, result = excluded.result,
    exception = excluded.exception, traceback = NULL, worker = excluded.worker,
    retries = excluded.retries, deliveries = excluded.deliveries,
    enqueued_at = excluded.enqueued_at, eta = excluded.eta, started_at = NULL,
    updated_at = excluded.updated_at, date_done = excluded.date_done, runtime = NULL,
    root_id = excluded.root_id, parent_id = excluded.parent_id, after = NULL, feeds = NULL,
    position = NULL, children = NULL
