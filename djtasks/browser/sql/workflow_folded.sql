-- A large workflow in few rows: its tasks counted by name, state and surroundings.
-- Joins that many tasks meet at, and few joins, are themselves; of the others only the names of the
-- tasks before and behind them count, so that ten thousand chains are one. Each table is read to a
-- limit; if there is more, a little is read from the other end of the index, where the last tasks
-- are. Few tasks are named by their ids, and their run times told; as texts, for arrays of arrays
-- must be even. The last columns: how many tasks were looked at, and whether there are more.
-- Plan: Hash Aggregates over Index Scans using djtasks_message_root, djtasks_taskresult_root
-- (Backward for the tails) and the primary keys, none of it stored in between. The caller rules
-- out bitmaps, which are made of whole indexes, and nested loops.
WITH reach AS MATERIALIZED (
    SELECT (SELECT count(*) FROM (SELECT FROM djtasks_message WHERE root_id = %(root)s
                                  LIMIT %(scan)s + %(tail)s + 1) m) > %(scan)s + %(tail)s AS queued,
           (SELECT count(*) FROM (SELECT FROM djtasks_taskresult WHERE root_id = %(root)s
                                  LIMIT %(scan)s + %(tail)s + 1) r) > %(scan)s + %(tail)s AS ended
), member AS MATERIALIZED (
    -- A call of its own comes after its caller, what waits for a join after that.
    SELECT t.task, t.state, t.after, t.feeds,
           CASE WHEN t.after IS NULL THEN t.parent_id END AS caller, count(*) AS size,
           array_to_string((array_agg(t.id))[1:%(fold)s], ',') AS ids,
           array_to_string((array_agg(t.runtime))[1:%(fold)s], ',', '') AS runtimes,
           bool_or(t.id = %(current)s) AS is_current
    FROM (
        SELECT m.id, m.task, m.after, m.feeds, m.parent_id, NULL::float8 AS runtime,
               CASE WHEN m.worker_id IS NOT NULL THEN 'RUNNING'
                    WHEN m.state = 2 THEN 'WAITING'
                    WHEN m.state = 3 THEN 'BLOCKED'
                    WHEN m.state = 1 AND m.retries > 0 THEN 'RETRY'
                    WHEN m.state = 1 THEN 'SCHEDULED'
                    ELSE 'READY'
               END AS state
        FROM (
            (SELECT id, task, after, feeds, parent_id, state, worker_id, retries
             FROM djtasks_message WHERE root_id = %(root)s
             LIMIT (SELECT %(scan)s + CASE WHEN queued THEN 0 ELSE %(tail)s END FROM reach))
            UNION ALL
            (SELECT id, task, after, feeds, parent_id, state, worker_id, retries
             FROM djtasks_message WHERE root_id >= %(root)s AND root_id <= %(root)s
             ORDER BY root_id DESC
             LIMIT (SELECT CASE WHEN queued THEN %(tail)s ELSE 0 END FROM reach))
            UNION ALL
            SELECT id, task, after, feeds, parent_id, state, worker_id, retries
            FROM djtasks_message WHERE id = %(root)s AND root_id IS DISTINCT FROM %(root)s
        ) m
        UNION ALL
        SELECT r.id, r.task, r.after, r.feeds, r.parent_id, r.runtime, r.state
        FROM (
            (SELECT id, task, after, feeds, parent_id, runtime, state, date_done
             FROM djtasks_taskresult WHERE root_id = %(root)s
             LIMIT (SELECT %(scan)s + CASE WHEN ended THEN 0 ELSE %(tail)s END FROM reach))
            UNION ALL
            (SELECT id, task, after, feeds, parent_id, runtime, state, date_done
             FROM djtasks_taskresult WHERE root_id >= %(root)s AND root_id <= %(root)s
             ORDER BY root_id DESC
             LIMIT (SELECT CASE WHEN ended THEN %(tail)s ELSE 0 END FROM reach))
            UNION ALL
            SELECT id, task, after, feeds, parent_id, runtime, state, date_done
            FROM djtasks_taskresult WHERE id = %(root)s AND root_id IS DISTINCT FROM %(root)s
        ) r
        -- What is to be tried again has a message too; what has ended is not asked.
        WHERE r.date_done IS NOT NULL
           OR (SELECT m.id FROM djtasks_message m WHERE m.id = r.id) IS NULL
    ) t
    GROUP BY 1, 2, 3, 4, 5
), point AS MATERIALIZED (
    SELECT e.id, sum(e.size) AS size,
           concat_ws(' ', min(e.task) FILTER (WHERE e.gives), max(e.task) FILTER (WHERE e.gives),
                     least(sum(e.size) FILTER (WHERE e.gives), 2), '>',
                     min(e.task) FILTER (WHERE NOT e.gives),
                     max(e.task) FILTER (WHERE NOT e.gives)) AS kind
    FROM (
        SELECT feeds AS id, task, size, true AS gives FROM member WHERE feeds IS NOT NULL
        UNION ALL
        SELECT after, task, size, false FROM member WHERE after IS NOT NULL
    ) e
    GROUP BY e.id
    HAVING bool_or(e.gives) AND NOT bool_and(e.gives)
), named AS MATERIALIZED (
    SELECT p.id,
           CASE WHEN p.size > 100 OR (SELECT count(*) FROM point) <= 200 THEN p.id::text
                ELSE p.kind
           END AS name
    FROM point p
), caller AS MATERIALIZED (
    SELECT t.id, t.task, a.name AS takes, f.name AS gives
    FROM (
        SELECT id, task, after, feeds FROM djtasks_message
        WHERE id = ANY (ARRAY(SELECT DISTINCT m.caller FROM member m LIMIT %(scan)s))
        UNION
        SELECT id, task, after, feeds FROM djtasks_taskresult
        WHERE id = ANY (ARRAY(SELECT DISTINCT m.caller FROM member m LIMIT %(scan)s))
    ) t
    LEFT JOIN named a ON a.id = t.after
    LEFT JOIN named f ON f.id = t.feeds
)
SELECT m.task, m.state, a.name, f.name, c.task, c.takes, c.gives,
       sum(m.size)::int, (array_agg(m.ids))[1:%(fold)s], (array_agg(m.runtimes))[1:%(fold)s],
       coalesce(bool_or(m.is_current), false),
       (SELECT sum(size)::int FROM member), (SELECT queued OR ended FROM reach)
FROM member m
LEFT JOIN named a ON a.id = m.after
LEFT JOIN named f ON f.id = m.feeds
LEFT JOIN caller c ON c.id = m.caller
GROUP BY 1, 2, 3, 4, 5, 6, 7
ORDER BY 8 DESC, 1, 2
LIMIT %(most)s
