-- Enqueue what ended tasks asked for (links, errbacks) and is unique, in the transaction that ends
-- them. Those whose key another task has are stored as REVOKED, for nobody is there to be told.
-- Nothing is replaced.
-- Only for causes that are still this worker's own, as in insert_linked.sql.
-- Plan: Function Scans, Index Scans using djtasks_message_pkey (loops).
WITH linked AS MATERIALIZED (
    SELECT n.*, n.options -> 'unique' AS told
    FROM json_to_recordset(%(messages)s::json) AS n
        (id uuid, task text, payload json, payload_id uuid, queue text, rank int,
         eta timestamptz, expires timestamptz, retries int,
         custom_id text, root_id uuid, parent_id uuid, options json,
         cause uuid, owner int)
    WHERE EXISTS (
        SELECT FROM djtasks_message m
        WHERE m.id = ANY (ARRAY[n.cause]) AND m.worker_id = n.owner
    )
), refused AS MATERIALIZED (
    SELECT t.taker
    FROM djtasks_take_unique(
        (
            SELECT coalesce(json_agg(json_build_object(
                'place', 0,
                'id', l.id,
                'key', l.told ->> 'key',
                'mode', CASE l.told ->> 'until' WHEN 'done' THEN 2 WHEN 'queued' THEN 1 ELSE 0 END,
                'seconds', l.told ->> 'for'
            )), '[]')
            FROM linked l
            WHERE l.told ->> 'key' IS NOT NULL
        ),
        false
    ) AS t
), stored AS (
    INSERT INTO djtasks_taskresult
        (id, custom_id, task, state, queue, rank, payload, payload_id, options, result, exception,
         worker, retries, deliveries, enqueued_at, eta, updated_at, date_done, root_id, parent_id)
    SELECT l.id, l.custom_id, l.task, 'REVOKED', l.queue, coalesce(l.rank, 0), l.payload::text,
           l.payload_id, l.options::text, %(refusal)s, 'TaskRevokedError', '',
           coalesce(l.retries, 0), 0, now(), l.eta, now(), now(), l.root_id, l.parent_id
    FROM linked l
    WHERE l.id IN (SELECT r.taker FROM refused r)
    ON CONFLICT (id) DO NOTHING
)
INSERT INTO djtasks_message
    (id, task, payload, payload_id, queue, rank, state, eta, expires, retries,
     custom_id, root_id, parent_id, options, lane, fair)
SELECT l.id, l.task, l.payload::text, l.payload_id, l.queue, coalesce(l.rank, 0),
       CASE WHEN l.eta > now() THEN 1 WHEN l.options ->> 'fair' IS NOT NULL THEN 5 ELSE 0 END,
       l.eta, l.expires, coalesce(l.retries, 0),
       l.custom_id, l.root_id, l.parent_id, l.options::text, l.options ->> 'lane',
       l.options ->> 'fair'
FROM linked l
WHERE l.id NOT IN (SELECT r.taker FROM refused r)
ON CONFLICT (id) DO NOTHING
