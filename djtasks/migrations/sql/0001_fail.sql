-- End what waits for messages that failed: wave by wave, each message once. What a chain has behind
-- it fails as its cause did; the body of a chord fails with ChordError, which names the cause, and
-- its errbacks are called; unless the whole chord comes behind the failure: then it is a step of a
-- chain. Joins that can never be complete are dropped. The failures are objects
-- with feeds, position, name, state, result, exception, traceback and repr of the cause.
CREATE FUNCTION djtasks_fail(failures json, OUT queues text[], OUT ids uuid[])
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    wave json := failures;
    wave_ids uuid[];
    wave_queues text[];
    wave_joins uuid[];
    failed uuid[] := '{}';
BEGIN
    queues := '{}';
    ids := '{}';
    WHILE wave IS NOT NULL LOOP
        WITH cause AS MATERIALIZED (
            SELECT DISTINCT ON (f.feeds)
                   f.feeds, f.position IS NOT NULL AS is_counted,
                   f.position IS NOT NULL AND NOT coalesce(j.is_group, false)
                       AND NOT coalesce(j.after = ANY (failed), false) AS is_chord,
                   f.position IS NOT NULL AND NOT coalesce(j.after = ANY (failed), false)
                       AS calls_errbacks,
                   f.name, f.state, f.result, f.exception, f.traceback, f.repr
            FROM json_to_recordset(wave) AS f
                (feeds uuid, position int, name text, state text, result json, exception text,
                 traceback text, repr text)
            LEFT JOIN djtasks_join j ON j.id = f.feeds
            ORDER BY f.feeds, f.position
        ), waiting AS MATERIALIZED (
            SELECT w.id AS waiting_id, c.*
            FROM cause c
            CROSS JOIN LATERAL (
                SELECT x.id FROM djtasks_message x WHERE x.after = c.feeds AND x.state = 2 OFFSET 0
            ) w
        ), gone AS (
            DELETE FROM djtasks_message m
            USING waiting c
            -- One that is being revoked ends by itself, as its own cause.
            WHERE m.id = ANY (ARRAY[c.waiting_id]) AND m.state + 0 = 2 AND m.worker_id IS NULL
            RETURNING m.id, m.custom_id, m.task, m.queue, m.rank, m.payload, m.options,
                      m.enqueued_at, m.root_id, m.parent_id, m.after, m.feeds, m.position,
                      c.calls_errbacks, c.is_chord, c.state, c.result, c.exception, c.traceback,
                      c.repr, 'Dependency ' || c.name || ' raised ' || c.repr AS reason
        ), ended AS (
            SELECT id, custom_id, task, queue, rank, payload, options, enqueued_at, root_id,
                   parent_id, after, feeds, position, calls_errbacks, traceback,
                   coalesce(custom_id, id::text) AS name,
                   CASE WHEN is_chord THEN 'FAILURE' ELSE state END AS state,
                   CASE WHEN is_chord THEN 'ChordError' ELSE exception END AS exception,
                   CASE WHEN is_chord THEN json_build_object(
                       'exc_type', 'ChordError', 'exc_message', json_build_array(reason),
                       'exc_module', 'djtasks.exceptions') ELSE result END AS result,
                   CASE WHEN is_chord THEN 'ChordError(' || djtasks_quoted(reason) || ')'
                        ELSE repr END AS repr
            FROM gone
        ), stored AS (
            INSERT INTO djtasks_taskresult
                (id, custom_id, task, state, queue, rank, payload, options, result, exception,
                 traceback, enqueued_at, date_done, root_id, parent_id, after, feeds, position)
            SELECT id, custom_id, task, state, queue, rank, payload, options, result::text,
                   exception, traceback, enqueued_at, now(), root_id, parent_id, after, feeds,
                   position
            FROM ended
            ON CONFLICT (id) DO UPDATE SET
                custom_id = excluded.custom_id, task = excluded.task, state = excluded.state,
                queue = excluded.queue, rank = excluded.rank, payload = excluded.payload,
                payload_id = NULL, options = excluded.options, result = excluded.result,
                exception = excluded.exception, traceback = excluded.traceback, worker = NULL,
                retries = 0, deliveries = 0, enqueued_at = excluded.enqueued_at,
                eta = NULL, started_at = NULL, updated_at = now(), date_done = now(), runtime = NULL,
                root_id = excluded.root_id, parent_id = excluded.parent_id,
                after = excluded.after, feeds = excluded.feeds, position = excluded.position,
                children = NULL
        ), called AS (
            INSERT INTO djtasks_message (id, task, payload, queue, rank, root_id, parent_id)
            SELECT gen_random_uuid(), 'djtasks.errbacks',
                   json_build_array(json_build_array(name, task, payload, options, result::text,
                                                     traceback), json_build_object())::text,
                   queue, rank, root_id, id
            FROM ended
            -- Not read as JSON: a row that somebody broke must not keep others from ending.
            WHERE calls_errbacks AND options LIKE '%"link_error":%'
            RETURNING queue
        ), dropped AS (
            DELETE FROM djtasks_join j
            USING cause c
            WHERE c.is_counted AND j.id = ANY (ARRAY[c.feeds])
        ), dropped_inputs AS (
            DELETE FROM djtasks_input i
            USING cause c
            WHERE c.is_counted AND i.join_id = ANY (ARRAY[c.feeds])
        )
        -- Of each join one failure, and of that what the next wave reads: a wave may be wide.
        SELECT (SELECT json_agg(n)
                FROM (SELECT DISTINCT ON (x.feeds) x.feeds, x.position, x.name, x.state, x.result,
                             x.exception, x.traceback, x.repr
                      FROM ended x
                      WHERE x.feeds IS NOT NULL
                      ORDER BY x.feeds, x.position) AS n),
               array_agg(e.id),
               (SELECT array_agg(DISTINCT c.queue) FROM called c),
               (SELECT array_agg(c.feeds) FROM cause c)
        INTO wave, wave_ids, wave_queues, wave_joins
        FROM ended e;
        failed := failed || coalesce(wave_joins, '{}');
        ids := ids || coalesce(wave_ids, '{}');
        queues := queues || coalesce(wave_queues, '{}');
    END LOOP;
END
$$
