-- Give the results of messages that succeed to their joins; what then has all it waits for becomes
-- ready, its result or list of results before its arguments.
-- Sent before the statement that ends the messages, and only for those still this worker's own.
-- lock_joins.sql has locked the joins: nobody else counts them down meanwhile.
-- OFFSET 0, and `state + 0` where it is checked again: else the planner may read the whole index
-- djtasks_message_after for each join, its predicate being enough for it (785 x 8,985 rows a turn).
-- Arrays, for JSON costs 2 us a result more, and makes no difference between null and no value.
-- Plan: Function Scan on unnest, Index Scans using the primary keys and
-- djtasks_message_after (loops); no Seq Scan.
WITH fed AS MATERIALIZED (
    SELECT f.feeds, f.position, f.result
    FROM unnest(%(causes)s::text::uuid[], %(owners)s::text::int[], %(joins)s::text::uuid[],
                %(positions)s::text::int[], %(results)s::text::text[])
        AS f (cause, owner, feeds, position, result)
    WHERE EXISTS (
        SELECT FROM djtasks_message m
        WHERE m.id = ANY (ARRAY[f.cause]) AND m.worker_id = f.owner
    )
), counts AS (
    SELECT feeds, count(*)::int AS number FROM fed WHERE position IS NOT NULL GROUP BY feeds
), lowered AS (
    UPDATE djtasks_join j
    SET missing = j.missing - c.number
    FROM counts c
    WHERE j.id = ANY (ARRAY[c.feeds]) AND j.missing > c.number
    RETURNING j.id
), completed AS (
    DELETE FROM djtasks_join j
    USING counts c
    WHERE j.id = ANY (ARRAY[c.feeds]) AND j.missing <= c.number
    RETURNING j.id
), kept AS (
    -- One row for all that a turn brings to a join: a row for each result cost 4 us a result more.
    INSERT INTO djtasks_input (join_id, position, positions, results)
    SELECT f.feeds, min(f.position), array_agg(f.position), array_agg(f.result)
    FROM fed f
    -- IS TRUE keeps it a subplan that is hashed; as a join it would be a loop in a loop.
    WHERE f.position IS NOT NULL AND (f.feeds IN (SELECT id FROM lowered)) IS TRUE
    GROUP BY f.feeds
), taken AS (
    DELETE FROM djtasks_input i
    USING completed c
    WHERE i.join_id = ANY (ARRAY[c.id])
    RETURNING i.join_id, i.positions, i.results
), gathered AS (
    SELECT feeds AS id, result FROM fed WHERE position IS NULL
    UNION ALL
    SELECT join_id, '[' || string_agg(result, ',' ORDER BY position) || ']'
    FROM (
        SELECT t.join_id, r.position, r.result
        FROM taken t
        CROSS JOIN LATERAL unnest(t.positions, t.results) AS r (position, result)
        UNION ALL
        SELECT f.feeds, f.position, f.result
        FROM fed f
        WHERE f.position IS NOT NULL AND (f.feeds IN (SELECT id FROM completed)) IS TRUE
    ) AS results
    GROUP BY join_id
), waiting AS MATERIALIZED (
    SELECT w.ctid AS place, g.result
    FROM gathered g
    CROSS JOIN LATERAL (
        SELECT x.ctid FROM djtasks_message x WHERE x.after = g.id AND x.state = 2 OFFSET 0
    ) w
), released AS (
    UPDATE djtasks_message m
    SET state = CASE WHEN coalesce(now() + make_interval(secs => m.countdown), m.eta) > now()
                     THEN 1 ELSE 0 END,
        eta = coalesce(now() + make_interval(secs => m.countdown), m.eta),
        expires = coalesce(now() + make_interval(secs => m.lifetime), m.expires),
        -- It became ready now: behind what was ready before, where claims look.
        seq = nextval('djtasks_message_seq'),
        payload = CASE
            WHEN m.immutable THEN m.payload
            WHEN substr(m.payload, 3, 1) = ']' THEN '[[' || g.result || substr(m.payload, 3)
            ELSE '[[' || g.result || ',' || substr(m.payload, 3)
        END
    FROM waiting g
    WHERE m.ctid = g.place AND m.state + 0 = 2
    RETURNING m.queue, m.state
)
SELECT coalesce(array_agg(DISTINCT queue) FILTER (WHERE state = 0), '{}') AS ready,
       coalesce(array_agg(DISTINCT queue) FILTER (WHERE state = 1), '{}') AS later
FROM released
