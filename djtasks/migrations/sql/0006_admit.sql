-- Let claimed messages through the lanes and rates that limit them, and those that were blocked
-- where there is room. What is not let through is blocked: it leaves the index that claims read.
-- A place counts while its message is there and somebody has it (in an order, while it is there),
-- so it is free in the same commit as the end that frees it, whoever ends it.
-- In a transaction of its own, after the claim: locks of many lanes, then of rates, each in one
-- order, and never while messages or joins are held that others wait for.
-- The commit of an end comes before the look for whom it lets through, and a message is blocked
-- under the lock of its lane: of an end and a block at the same time the later one sees the other.
-- ids, lanes, sizes, rates, intervals, bursts: of each claimed message, its lane (null: none) and the
-- places there (null: as many as there are), and what it asks of a rate (null: nothing).
-- freed, freed_sizes: lanes in which a place may have become free.
-- patient: count those that were let through and are not claimed yet.
-- room, queues: how many of those that it lets through the worker claims at once, and from where.
-- A function of several statements: each sees what others have committed before its locks.
-- Plan: Index Scans using djtasks_message_pkey, djtasks_message_gate and djtasks_message_order.
CREATE FUNCTION djtasks_admit(
    worker int, ids uuid[], lanes text[], sizes int[], rates text[], intervals float8[], bursts float8[],
    freed text[], freed_sizes int[], patient boolean, room int, queues text[],
    OUT admitted uuid[], OUT given uuid[], OUT ready text[], OUT opens_in float8
)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    moment timestamptz;
    anybody boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(1684698220, s.key)
    FROM (
        SELECT DISTINCT hashtext(l) AS key
        FROM unnest(lanes || freed) AS l
        WHERE l IS NOT NULL
        ORDER BY 1
    ) s;

    -- Places of messages that are gone, or were put back, are free; in an order those of messages
    -- that have become a step which waits for others: these may be of the same key. Others than those
    -- in which something has ended are not looked through: who ended it, or a look now and then, does
    -- that.
    DELETE FROM djtasks_place p
    USING (SELECT DISTINCT l AS lane FROM unnest(freed) AS l) f
    WHERE p.lane = f.lane
      AND NOT EXISTS (
          SELECT FROM djtasks_message m
          WHERE m.id = ANY (ARRAY[p.message_id]) AND m.lane = p.lane
            AND (m.worker_id IS NOT NULL OR starts_with(p.lane, 'order:') AND m.state <> 2)
      );

    -- A free place lets nobody through where nobody is blocked. Under the lock: whoever was blocked
    -- while this was ended has been written by now.
    anybody := EXISTS (SELECT FROM djtasks_message m WHERE m.gate IS NOT NULL);
    IF anybody THEN
        SELECT coalesce(array_agg(f.lane), '{}'), coalesce(array_agg(f.size), '{}')
        INTO freed, freed_sizes
        FROM unnest(freed, freed_sizes) AS f (lane, size)
        WHERE EXISTS (SELECT FROM djtasks_message x WHERE x.gate = f.lane AND x.state = 3);
    ELSE
        freed := '{}';
        freed_sizes := '{}';
    END IF;

    -- First those that are alone in their lanes, most of the time all of them: no second one asks,
    -- nobody is blocked or about to be admitted there, and in an order nobody goes before them.
    WITH mine AS MATERIALIZED (
        SELECT m.id, m.seq, c.lane, c.size,
               m.gate IS NOT NULL OR m.own_lane IS DISTINCT FROM c.lane AS changes
        FROM (
            SELECT a.id, a.lane, a.size, count(*) OVER (PARTITION BY a.lane) AS number
            FROM unnest(ids, lanes, sizes) AS a (id, lane, size)
        ) c
        CROSS JOIN LATERAL (
            SELECT x.id, x.seq, x.gate, x.lane AS own_lane
            FROM djtasks_message x
            WHERE x.id = c.id AND x.worker_id = worker
            OFFSET 0
        ) m
        WHERE c.number = 1 OR c.lane IS NULL
    ), alone AS MATERIALIZED (
        SELECT m.id, m.lane, m.changes, EXISTS (
                   SELECT FROM djtasks_place p WHERE p.lane = m.lane AND p.message_id = m.id
               ) AS holds
        FROM mine m
        WHERE m.lane IS NULL
           OR (anybody AND EXISTS (
                  SELECT FROM djtasks_message x
                  WHERE x.gate = m.lane AND x.state IN (0, 3) AND x.id <> m.id
              )) IS FALSE
          AND CASE
              WHEN starts_with(m.lane, 'order:') THEN NOT EXISTS (
                  SELECT FROM djtasks_place p WHERE p.lane = m.lane AND p.message_id <> m.id
              ) AND NOT EXISTS (
                  SELECT FROM djtasks_message x
                  WHERE x.lane = m.lane AND x.lane LIKE 'order:%' AND x.state IN (0, 4, 5)
                    AND x.seq < m.seq
              )
              ELSE m.size IS NULL OR m.size > (
                  SELECT count(*) FROM djtasks_place p
                  WHERE p.lane = m.lane AND p.message_id <> m.id
              ) END
    ), held AS (
        INSERT INTO djtasks_place (lane, message_id)
        SELECT a.lane, a.id FROM alone a WHERE a.lane IS NOT NULL AND NOT a.holds
    ), passed AS (
        UPDATE djtasks_message m
        SET lane = a.lane, gate = NULL
        FROM alone a
        WHERE a.changes AND m.id = ANY (ARRAY[a.id])
    )
    SELECT coalesce(array_agg(a.id), '{}') INTO admitted FROM alone a;
    given := '{}';
    ready := '{}';

    IF cardinality(admitted) < cardinality(ids) OR cardinality(freed) > 0 THEN
        WITH mine AS MATERIALIZED (
            SELECT m.id, m.rank, m.seq, c.lane, c.size, h.message_id IS NOT NULL AS holds,
                   m.gate IS NOT NULL OR m.own_lane IS DISTINCT FROM c.lane AS changes
            FROM (
                SELECT a.id, a.lane, a.size
                FROM unnest(ids, lanes, sizes) AS a (id, lane, size)
                WHERE (a.id IN (SELECT unnest(admitted))) IS NOT TRUE AND a.lane IS NOT NULL
            ) c
            CROSS JOIN LATERAL (
                SELECT x.id, x.rank, x.seq, x.gate, x.lane AS own_lane
                FROM djtasks_message x
                WHERE x.id = c.id AND x.worker_id = worker
                OFFSET 0
            ) m
            LEFT JOIN LATERAL (
                SELECT p.message_id FROM djtasks_place p
                WHERE p.lane = c.lane AND p.message_id = c.id
                OFFSET 0
            ) h ON true
        ), line AS MATERIALIZED (
            SELECT l.lane, min(l.size) AS size, starts_with(l.lane, 'order:') AS ordered,
                   max(l.seq) AS last
            FROM (
                SELECT m.lane, m.size, m.seq FROM mine m
                UNION ALL
                SELECT f.lane, f.size, 9223372036854775807
                FROM unnest(freed, freed_sizes) AS f (lane, size)
            ) l
            WHERE l.lane IS NOT NULL
            GROUP BY l.lane
        ), room AS MATERIALIZED (
            SELECT l.lane, l.ordered, l.last,
                   coalesce(l.size, 1000000) - (
                       SELECT count(*) FROM djtasks_place p WHERE p.lane = l.lane
                   ) AS free
            FROM line l
        ), placed AS MATERIALIZED (
            -- The rows without an id, one for each lane, bring how much room there is: a join would
            -- be a loop in a loop.
            SELECT c.id, c.lane, c.is_mine, c.changes, c.holds
                       OR row_number() OVER line - 1 <= max(c.free) OVER lane AS fits
            FROM (
                SELECT r.lane, r.free, NULL::uuid AS id, NULL::int AS rank, NULL::bigint AS seq,
                       false AS is_mine, false AS changes, false AS holds
                FROM room r
                UNION ALL
                SELECT m.lane, NULL, m.id, m.rank, m.seq, true, m.changes, m.holds
                FROM mine m
                WHERE m.lane IS NOT NULL
                UNION ALL
                -- Those that are blocked already come first where they are older.
                SELECT r.lane, NULL, b.id, b.rank, b.seq, false, false, false
                FROM room r
                CROSS JOIN LATERAL (
                    SELECT x.id, x.rank, x.seq
                    FROM djtasks_message x
                    WHERE x.gate = r.lane AND x.state = 3
                    ORDER BY x.rank, x.seq
                    LIMIT greatest(0, r.free)
                ) b
                WHERE anybody
                UNION ALL
                -- Those let through that nobody has claimed yet, or that somebody is about to admit;
                -- not where nobody may claim them: they would keep the places for ever.
                SELECT r.lane, NULL, t.id, t.rank, t.seq, false, false, false
                FROM room r
                CROSS JOIN LATERAL (
                    SELECT x.id, x.rank, x.seq
                    FROM djtasks_message x
                    WHERE x.gate = r.lane AND x.state = 0 AND x.worker_id IS DISTINCT FROM worker
                      AND (r.ordered OR x.worker_id IS NOT NULL
                           OR x.unknown_since IS NULL AND djtasks_served(x.queue))
                    ORDER BY x.rank, x.seq
                    LIMIT greatest(0, r.free)
                ) t
                WHERE anybody AND (patient OR r.ordered)
                UNION ALL
                -- In an order nobody overtakes: whoever is ready and older goes before, also if it
                -- is still in the line of a fair_key, or held by a pause.
                SELECT r.lane, NULL, o.id, o.rank, o.seq, false, false, false
                FROM room r
                CROSS JOIN LATERAL (
                    SELECT x.id, x.rank, x.seq
                    FROM djtasks_message x
                    WHERE x.lane = r.lane AND x.lane LIKE 'order:%' AND x.state IN (0, 4, 5)
                      AND x.seq < r.last
                      AND (x.state <> 0 OR x.gate IS NULL AND x.worker_id IS DISTINCT FROM worker)
                    ORDER BY x.seq
                    LIMIT greatest(0, r.free)
                ) o
                WHERE r.ordered
            ) c
            WINDOW lane AS (PARTITION BY c.lane),
                   line AS (PARTITION BY c.lane ORDER BY c.id IS NOT NULL, c.rank, c.seq)
        ), held AS (
            INSERT INTO djtasks_place (lane, message_id)
            SELECT p.lane, p.id FROM placed p WHERE p.is_mine AND p.fits
            ON CONFLICT DO NOTHING
        ), passed AS (
            UPDATE djtasks_message m
            SET lane = p.lane, gate = NULL
            FROM placed p
            WHERE p.is_mine AND p.fits AND p.changes AND m.id = ANY (ARRAY[p.id])
        ), blocked AS (
            UPDATE djtasks_message m
            SET state = 3, lane = p.lane, gate = p.lane, worker_id = NULL, started_at = NULL
            FROM placed p
            WHERE p.is_mine AND NOT p.fits AND m.id = ANY (ARRAY[p.id]) AND m.worker_id = worker
        ), free AS MATERIALIZED (
            SELECT x.id, x.queue, p.lane,
                   djtasks_served(x.queue) AND EXISTS (
                       SELECT FROM djtasks_tasksetting t
                       WHERE t.name = x.task AND t.paused_at IS NOT NULL
                   ) IS NOT TRUE AS is_served
            FROM placed p
            CROSS JOIN LATERAL (
                SELECT y.id, y.queue, y.task FROM djtasks_message y
                WHERE y.id = ANY (ARRAY[p.id]) AND y.state = 3
                FOR UPDATE SKIP LOCKED
            ) x
            WHERE p.fits AND NOT p.is_mine AND p.id IS NOT NULL
        ), near AS MATERIALIZED (
            SELECT f.id, f.lane
            FROM free f
            WHERE f.is_served AND f.queue = ANY (queues)
            LIMIT room
        ), places AS (
            INSERT INTO djtasks_place (lane, message_id) SELECT n.lane, n.id FROM near n
            ON CONFLICT DO NOTHING
        ), taken AS (
            UPDATE djtasks_message m
            SET state = 0, gate = NULL, worker_id = worker, started_at = now()
            FROM near n
            WHERE m.id = ANY (ARRAY[n.id])
            RETURNING m.id
        ), let AS (
            UPDATE djtasks_message m
            SET state = 0,
                -- One that nobody may claim counts no more; an order waits for it all the same.
                gate = CASE WHEN f.is_served OR starts_with(f.lane, 'order:') THEN m.gate END
            FROM free f
            WHERE (f.id IN (SELECT n.id FROM near n)) IS NOT TRUE AND m.id = ANY (ARRAY[f.id])
            RETURNING m.queue
        )
        SELECT admitted
                   || coalesce((SELECT array_agg(p.id) FROM placed p WHERE p.is_mine AND p.fits), '{}'),
               coalesce((SELECT array_agg(t.id) FROM taken t), '{}'),
               coalesce((SELECT array_agg(DISTINCT l.queue) FROM let l), '{}')
        INTO admitted, given, ready;
    END IF;

    IF NOT EXISTS (SELECT FROM unnest(rates) AS r WHERE r IS NOT NULL) THEN
        RETURN;
    END IF;

    INSERT INTO djtasks_rate AS r (name, interval, burst, used_until)
    SELECT DISTINCT ON (c.rate) c.rate, c.interval, c.burst, clock_timestamp()
    FROM unnest(rates, intervals, bursts) AS c (rate, interval, burst)
    WHERE c.rate IS NOT NULL
    ORDER BY c.rate
    -- This locks them, in the order of their names.
    ON CONFLICT (name) DO UPDATE SET interval = excluded.interval, burst = excluded.burst;
    moment := clock_timestamp();

    WITH rate AS MATERIALIZED (
        SELECT r.name, r.interval, r.burst, u.used_until,
               floor(r.burst + 1e-6 - extract(epoch FROM u.used_until - moment) / r.interval)::bigint
                   AS free
        FROM djtasks_rate r
        CROSS JOIN LATERAL (
            -- No later than this rate could have come to: it may have been slower before.
            SELECT greatest(moment, least(
                r.used_until, moment + make_interval(secs => r.burst * r.interval)
            )) AS used_until
        ) u
        WHERE r.name = ANY (rates)
    ), mine AS MATERIALIZED (
        SELECT c.rate, m.id, m.rank, m.seq
        FROM unnest(ids, rates) AS c (id, rate)
        CROSS JOIN LATERAL (
            SELECT x.id, x.rank, x.seq FROM djtasks_message x WHERE x.id = c.id OFFSET 0
        ) m
        WHERE c.rate IS NOT NULL AND c.id = ANY (admitted)
    ), placed AS MATERIALIZED (
        SELECT c.name, c.id, c.is_mine,
               row_number() OVER (PARTITION BY c.name ORDER BY c.rank, c.seq) <= c.free AS fits
        FROM (
            SELECT r.name, r.free, m.id, m.rank, m.seq, true AS is_mine
            FROM rate r JOIN mine m ON m.rate = r.name
            UNION ALL
            SELECT r.name, r.free, b.id, b.rank, b.seq, false
            FROM rate r
            CROSS JOIN LATERAL (
                SELECT x.id, x.rank, x.seq
                FROM djtasks_message x
                WHERE x.gate = r.name AND x.state = 3
                ORDER BY x.rank, x.seq
                LIMIT greatest(0, r.free)
            ) b
        ) c
    ), used AS (
        UPDATE djtasks_rate r
        SET used_until = s.used_until + make_interval(secs => s.number * r.interval),
            opens_at = CASE WHEN s.refused > 0
                            THEN least(r.opens_at, s.used_until + make_interval(
                                secs => (s.number - r.burst + 1) * r.interval))
                            ELSE r.opens_at END
        FROM (
            SELECT t.name, t.used_until,
                   count(*) FILTER (WHERE p.fits AND p.is_mine) AS number,
                   count(*) FILTER (WHERE NOT p.fits OR NOT p.is_mine) AS refused
            FROM rate t JOIN placed p ON p.name = t.name
            GROUP BY t.name, t.used_until
        ) s
        WHERE r.name = s.name
    ), let_go AS (
        UPDATE djtasks_message m
        SET state = 3, gate = p.name, worker_id = NULL, started_at = NULL
        FROM placed p
        WHERE p.is_mine AND NOT p.fits AND m.id = ANY (ARRAY[p.id]) AND m.worker_id = worker
        RETURNING m.id
    ), given_up AS (
        -- Others may have it meanwhile; in an order they may not.
        DELETE FROM djtasks_place p
        USING unnest(ids, lanes) AS c (id, lane)
        WHERE (c.id IN (SELECT g.id FROM let_go g)) IS TRUE
          AND p.lane = c.lane AND p.message_id = c.id AND starts_with(c.lane, 'limit:')
    ), passed AS (
        UPDATE djtasks_message m
        SET gate = NULL
        FROM placed p
        WHERE p.is_mine AND p.fits AND m.id = ANY (ARRAY[p.id]) AND m.gate IS NOT NULL
    )
    SELECT ARRAY(SELECT a FROM unnest(admitted) AS a
                 WHERE a NOT IN (SELECT g.id FROM let_go g))
    INTO admitted;

    SELECT extract(epoch FROM min(r.opens_at) - clock_timestamp())::float8
    INTO opens_in
    FROM djtasks_rate r
    WHERE r.name = ANY (rates);
END
$$
