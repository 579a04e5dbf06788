-- Let messages become other tasks: those that take over their ids, and their places in a workflow.
-- Plan: Update on djtasks_message, Nested Loop (Function Scan, Index Scan using ..._pkey).
WITH replaced AS (
    UPDATE djtasks_message m
    SET worker_id = NULL,
        started_at = NULL,
        task = r.task,
        payload = r.payload::text,
        payload_id = NULL,
        options = r.options::text,
        lane = r.options ->> 'lane',
        fair = r.options ->> 'fair',
        gate = NULL,
        queue = r.queue,
        rank = coalesce(r.rank, 0),
        state = CASE WHEN r.after IS NOT NULL THEN 2 WHEN r.eta > now() THEN 1
                     WHEN r.options ->> 'fair' IS NOT NULL THEN 5 ELSE 0 END,
        seq = nextval('djtasks_message_seq'),
        eta = r.eta,
        expires = r.expires,
        retries = 0,
        deliveries = 0,
        unknown_since = NULL,
        root_id = r.root_id,
        after = r.after,
        immutable = r.immutable,
        countdown = r.countdown,
        lifetime = r.lifetime
    FROM json_to_recordset(%(outcomes)s::json) AS r
        (id uuid, owner int, task text, payload json, queue text, rank int,
         eta timestamptz, expires timestamptz, root_id uuid, options json,
         after uuid, immutable boolean, countdown float8, lifetime float8)
    WHERE m.id = ANY (ARRAY[r.id]) AND m.worker_id = r.owner
    RETURNING m.id
)
SELECT count(*) FROM replaced
