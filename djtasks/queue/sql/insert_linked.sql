-- Enqueue what an ended task asked for (links, errbacks), in the transaction that ends it.
-- Only for causes that are still this worker's own: one that was given up on enqueues nothing.
-- Plan: Function Scan on json_to_recordset, Index Scan using djtasks_message_pkey (a loop).
INSERT INTO djtasks_message
    (id, task, payload, payload_id, queue, rank, state, eta, expires, retries,
     custom_id, root_id, parent_id, options, lane, fair,
     after, feeds, position, immutable, countdown, lifetime)
SELECT n.id, n.task, n.payload::text, n.payload_id, n.queue, coalesce(n.rank, 0),
       CASE WHEN n.after IS NOT NULL THEN 2 WHEN n.eta > now() THEN 1
            WHEN n.options ->> 'fair' IS NOT NULL THEN 5 ELSE 0 END, n.eta, n.expires, coalesce(n.retries, 0),
       n.custom_id, n.root_id, n.parent_id, n.options::text, n.options ->> 'lane',
       n.options ->> 'fair',
       n.after, n.feeds, n.position, n.immutable, n.countdown, n.lifetime
FROM json_to_recordset(%(messages)s::json) AS n
    (id uuid, task text, payload json, payload_id uuid, queue text, rank int,
     eta timestamptz, expires timestamptz, retries int,
     custom_id text, root_id uuid, parent_id uuid, options json,
     after uuid, feeds uuid, position int, immutable boolean, countdown float8, lifetime float8,
     cause uuid, owner int)
WHERE EXISTS (
    SELECT FROM djtasks_message m
    WHERE m.id = ANY (ARRAY[n.cause]) AND m.worker_id = n.owner
)
ON CONFLICT (id) DO NOTHING
