-- How many messages of a queue nobody runs, and how many are run, counted to a limit. Those that
-- are not ready are looked for among the first so many of all queues.
-- Plan: Limits over Index Scans using djtasks_message_ready, _line, _due, _after, _held and _gate.
WITH ready AS MATERIALIZED (
    SELECT worker_id IS NULL AS idle FROM djtasks_message
    WHERE state = 0 AND queue = %(queue)s
    LIMIT %(limit)s
), lined AS MATERIALIZED (
    SELECT FROM djtasks_message
    WHERE state = 5 AND queue = %(queue)s
    LIMIT %(limit)s
), later AS MATERIALIZED (
    (SELECT queue FROM djtasks_message WHERE state = 1 ORDER BY eta LIMIT %(limit)s)
    UNION ALL
    (SELECT queue FROM djtasks_message WHERE state = 2 ORDER BY after LIMIT %(limit)s)
    UNION ALL
    (SELECT queue FROM djtasks_message WHERE state = 4 ORDER BY task LIMIT %(limit)s)
    UNION ALL
    (SELECT queue FROM djtasks_message WHERE gate IS NOT NULL AND state = 3
     ORDER BY gate, state, rank, seq LIMIT %(limit)s)
)
SELECT (SELECT count(*) FROM ready WHERE idle) + (SELECT count(*) FROM lined)
       + (SELECT count(*) FROM later WHERE queue = %(queue)s),
       (SELECT count(*) FROM ready WHERE NOT idle),
       (SELECT count(*) FROM ready) >= %(limit)s OR (SELECT count(*) FROM lined) >= %(limit)s
       OR (SELECT count(*) FROM later) >= %(limit)s
