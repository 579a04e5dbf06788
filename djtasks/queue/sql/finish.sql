-- End tasks: delete their messages and store their results, in one statement.
-- Plan: Delete on djtasks_message, Nested Loop (Function Scan on json_to_recordset, Index Scan
-- using djtasks_message_pkey); the workers' connection rules out hash and merge joins, which a
-- planner without statistics may prefer and which read the whole backlog. `= ANY (ARRAY[…])`
-- leaves it no other way: with `=`, and statistics of a moment at which the table was empty, it
-- once read the whole key for every outcome (97,974 x 800 loops, 23 s a turn).
-- Fenced: a message that was given to another worker meanwhile is left alone and not counted.
-- Followed by finished.sql, or by feed.sql if something waits for one of them.
WITH outcome AS (
    SELECT *
    FROM json_to_recordset(%(outcomes)s::json) AS o
        (id uuid, owner int, state text, result json, traceback text, exception text,
         runtime float8, children json, fed boolean, value json)
), ended AS (
    DELETE FROM djtasks_message m
    USING outcome o
    WHERE m.id = ANY (ARRAY[o.id]) AND m.worker_id = o.owner
    RETURNING m.id, m.custom_id, m.task, m.queue, m.rank, m.payload, m.payload_id, m.options,
              m.retries, m.deliveries, m.enqueued_at, m.eta, m.started_at, m.root_id, m.parent_id,
              m.after, m.feeds, m.position,
              o.state, o.result, o.traceback, o.exception, o.runtime, o.children, o.fed, o.value
), stored AS (
    INSERT INTO djtasks_taskresult AS r
        (id, custom_id, task, state, queue, rank, payload, payload_id, options,
         result, exception, traceback, worker, retries, deliveries,
         enqueued_at, eta, started_at, updated_at, date_done, runtime, root_id, parent_id,
         after, feeds, position, children)
    SELECT id, custom_id, task, state, queue, rank, payload, payload_id, options,
           result::text, exception, traceback, %(hostname)s, retries, deliveries,
           enqueued_at, eta, started_at, now(), now(), runtime, root_id, parent_id,
           after, feeds, position, children::text
    FROM ended
    WHERE state IS NOT NULL
    ON CONFLICT (id) DO UPDATE SET
        custom_id = excluded.custom_id, task = excluded.task, state = excluded.state,
        queue = excluded.queue, rank = excluded.rank, payload = excluded.payload,
        payload_id = excluded.payload_id, options = excluded.options,
        result = excluded.result, exception = excluded.exception,
        traceback = excluded.traceback, worker = excluded.worker, retries = excluded.retries,
        deliveries = excluded.deliveries, enqueued_at = excluded.enqueued_at, eta = excluded.eta,
        started_at = excluded.started_at, updated_at = excluded.updated_at,
        date_done = excluded.date_done, runtime = excluded.runtime,
        root_id = excluded.root_id, parent_id = excluded.parent_id,
        after = excluded.after, feeds = excluded.feeds, position = excluded.position,
        children = excluded.children
)
