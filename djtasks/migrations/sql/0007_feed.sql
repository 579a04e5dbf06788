-- Give the results of messages that succeed to their joins; what then has all it waits for becomes
-- ready, its result or list of results before its arguments.
-- The messages that succeeded are deleted by now: whoever else ends or rescues them waits, and one
-- whose end was committed and not heard of is not fed again. Then the joins are locked in the order
-- of their ids.
-- A function, for planning it took 1.2 ms a turn; with settings of its own, for the plans are kept
-- by the session, which may first call it while the tables are empty.
-- OFFSET 0, and `state + 0` where it is checked again: else the planner may read the whole index
-- djtasks_message_after for each join, its predicate being enough for it (785 x 8,985 rows a turn).
-- Plan: Function Scan on unnest, Index Scans using the primary keys and
-- djtasks_message_after (loops); no Seq Scan.
CREATE OR REPLACE FUNCTION djtasks_feed(
    joins uuid[], positions int[], results text[],
    OUT ready text[], OUT later text[]
)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    complete uuid[];
    gathered text[];
BEGIN
    -- A step of a chain is fed by one message alone: there is nothing to count.
    SELECT array_agg(f.feeds), array_agg(f.result)
    INTO complete, gathered
    FROM unnest(joins, positions, results) AS f (feeds, position, result)
    WHERE f.position IS NULL;

    IF EXISTS (SELECT FROM unnest(positions) AS p WHERE p IS NOT NULL) THEN
        -- In a statement of its own: the next one sees what those have written who had the lock.
        PERFORM 1
        FROM djtasks_join j
        WHERE j.id = ANY (ARRAY(
            SELECT f.feeds FROM unnest(joins, positions) AS f (feeds, position)
            WHERE f.position IS NOT NULL
        ))
        ORDER BY j.id
        FOR UPDATE;

        WITH fed AS MATERIALIZED (
            SELECT f.feeds, f.position, f.result
            FROM unnest(joins, positions, results) AS f (feeds, position, result)
            WHERE f.position IS NOT NULL
        ), counts AS (
            SELECT f.feeds, count(*)::int AS number FROM fed f GROUP BY f.feeds
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
            -- One row for all that a turn brings to a join, not one for each result.
            INSERT INTO djtasks_input (join_id, position, positions, results)
            SELECT f.feeds, min(f.position), array_agg(f.position), array_agg(f.result)
            FROM fed f
            -- IS TRUE keeps it a subplan that is hashed; as a join it would be a loop in a loop.
            WHERE (f.feeds IN (SELECT l.id FROM lowered l)) IS TRUE
            GROUP BY f.feeds
        ), taken AS (
            DELETE FROM djtasks_input i
            USING completed c
            WHERE i.join_id = ANY (ARRAY[c.id])
            RETURNING i.join_id, i.positions, i.results
        ), listed AS (
            SELECT s.join_id, '[' || string_agg(s.result, ',' ORDER BY s.position) || ']' AS list
            FROM (
                SELECT t.join_id, r.position, r.result
                FROM taken t
                CROSS JOIN LATERAL unnest(t.positions, t.results) AS r (position, result)
                UNION ALL
                SELECT f.feeds, f.position, f.result
                FROM fed f
                WHERE (f.feeds IN (SELECT c.id FROM completed c)) IS TRUE
            ) AS s
            GROUP BY s.join_id
        )
        SELECT complete || array_agg(l.join_id), gathered || array_agg(l.list)
        INTO complete, gathered
        FROM listed l;
    END IF;

    WITH waiting AS MATERIALIZED (
        SELECT w.id AS waiting_id, g.result
        FROM unnest(complete, gathered) AS g (id, result)
        CROSS JOIN LATERAL (
            SELECT x.id FROM djtasks_message x WHERE x.after = g.id AND x.state = 2 OFFSET 0
        ) w
    ), released AS (
        UPDATE djtasks_message m
        SET state = CASE WHEN coalesce(now() + make_interval(secs => m.countdown), m.eta) > now()
                         THEN 1 WHEN m.fair IS NOT NULL THEN 5 ELSE 0 END,
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
        -- Not by its place: somebody may be moving it to another queue, and then it has a new one.
        WHERE m.id = ANY (ARRAY[g.waiting_id]) AND m.state + 0 = 2
        RETURNING m.queue, m.state
    )
    SELECT coalesce(array_agg(DISTINCT r.queue) FILTER (WHERE r.state = 0), '{}'),
           -- Whoever feeds claims what is ready, and may leave what is in line to others.
           coalesce(array_agg(DISTINCT r.queue) FILTER (WHERE r.state <> 0), '{}')
    INTO ready, later
    FROM released r;
END
$$
