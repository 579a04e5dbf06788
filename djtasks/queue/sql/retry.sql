-- Put messages back for another try, later or at once, and store the state RETRY. Each run is
-- kept as an attempt, also where results are ignored.
-- The message stays where it is, so that arguments which did not change are not written again;
-- it gets a new place in the order, for it became ready anew.
-- Plan: Update on djtasks_message, Nested Loop (Function Scan, Index Scan using ..._pkey).
WITH attempt AS (
    SELECT *
    FROM json_to_recordset(%(outcomes)s::json) AS a
        (id uuid, owner int, retries int, deliveries int, eta timestamptz, delay float8,
         payload json, queue text, rank int, expires timestamptz, options json,
         state text, result json, traceback text, exception text, runtime float8, children json,
         raised text, message text)
), put_back AS (
    UPDATE djtasks_message m
    SET worker_id = NULL,
        retries = a.retries,
        deliveries = m.deliveries + a.deliveries,
        eta = coalesce(a.eta, now() + make_interval(secs => a.delay)),
        state = CASE WHEN coalesce(a.eta, now() + make_interval(secs => a.delay)) > now()
                     THEN 1 WHEN m.fair IS NOT NULL THEN 5 ELSE 0 END,
        seq = nextval('djtasks_message_seq'),
        payload = coalesce(a.payload::text, m.payload),
        payload_id = CASE WHEN a.payload IS NULL THEN m.payload_id END,
        queue = coalesce(a.queue, m.queue),
        rank = coalesce(a.rank, m.rank),
        expires = coalesce(a.expires, m.expires),
        options = coalesce(a.options::text, m.options)
    FROM attempt a
    WHERE m.id = ANY (ARRAY[a.id]) AND m.worker_id = a.owner
    RETURNING m.id, m.custom_id, m.task, m.queue, m.rank, m.payload, m.payload_id, m.options,
              m.deliveries, m.enqueued_at, m.started_at, m.root_id, m.parent_id,
              m.after, m.feeds, m.position, a.retries - 1 AS retries,
              a.state, a.result, a.traceback, a.exception, a.runtime, a.children,
              a.raised, a.message
), attempted AS (
    INSERT INTO djtasks_attempt
        (task_id, number, state, exception, message, worker, started_at, runtime)
    SELECT p.id,
           greatest(p.retries, (SELECT max(t.number) FROM djtasks_attempt t WHERE t.task_id = p.id))
               + 1,
           'RETRY', coalesce(p.raised, p.exception),
           left(coalesce(p.message,
                         split_part(rtrim(p.traceback, E' \n'), E'\n', -1)), 500),
           %(hostname)s, p.started_at, p.runtime
    FROM put_back p
), stored AS (
    INSERT INTO djtasks_taskresult AS r
        (id, custom_id, task, state, queue, rank, payload, payload_id, options,
         result, exception, traceback, worker, retries, deliveries,
         enqueued_at, started_at, updated_at, runtime, root_id, parent_id,
         after, feeds, position, children)
    SELECT id, custom_id, task, state, queue, rank, payload, payload_id, options,
           result::text, exception, traceback, %(hostname)s, retries, deliveries,
           enqueued_at, started_at, now(), runtime, root_id, parent_id,
           after, feeds, position, children::text
    FROM put_back
    WHERE state IS NOT NULL
    ON CONFLICT (id) DO UPDATE SET
        task = excluded.task, state = excluded.state, queue = excluded.queue,
        rank = excluded.rank, payload = excluded.payload, payload_id = excluded.payload_id,
        options = excluded.options, result = excluded.result, exception = excluded.exception,
        traceback = excluded.traceback, worker = excluded.worker, retries = excluded.retries,
        deliveries = excluded.deliveries, started_at = excluded.started_at,
        updated_at = excluded.updated_at, runtime = excluded.runtime,
        date_done = NULL, children = excluded.children
)
SELECT count(*) FROM put_back
