-- Whether something is blocked that a worker which runs what is there, and then ends, waits for: of
-- the queues that it serves (null: all but the excluded ones) and of tasks that it knows. Not what is
-- behind one in its order that itself is not to begin: scheduled for later, or in a queue that is
-- paused or not served.
-- Plan: Index Scan using djtasks_message_gate; SubPlans with Index Scans using djtasks_place_pkey,
-- djtasks_message_pkey and djtasks_queue_pkey.
WITH served AS MATERIALIZED (
    SELECT ARRAY(SELECT q.name FROM djtasks_queue q WHERE q.paused_at IS NOT NULL)
               || %(excluded)s::text[] AS none
)
SELECT EXISTS (
    SELECT
    FROM djtasks_message m
    WHERE m.gate IS NOT NULL AND m.state = 3
      AND (%(queues)s::text[] IS NULL OR m.queue = ANY (%(queues)s::text[]))
      AND m.queue <> ALL ((SELECT none FROM served)::text[])
      AND m.task = ANY (%(tasks)s::text[])
      AND NOT EXISTS (
          SELECT FROM djtasks_place p
          CROSS JOIN LATERAL (
              SELECT x.state, x.queue, x.worker_id FROM djtasks_message x
              WHERE x.id = p.message_id
              OFFSET 0
          ) h
          WHERE p.lane = m.gate AND starts_with(p.lane, 'order:') AND h.worker_id IS NULL
            AND (h.state NOT IN (0, 5)
                 OR h.queue = ANY ((SELECT none FROM served)::text[])
                 OR (%(queues)s::text[] IS NULL OR h.queue = ANY (%(queues)s::text[])) IS FALSE)
      )
)
