-- Claim up to {limit} ready messages, from a remembered position in each queue onward.
-- Plan: Tid Scan on djtasks_message, its list made by Limit > Nested Loop > LockRows >
-- Index Scan using djtasks_message_ready (queue = …, ROW(rank, seq) > …), one range for each
-- queue; no Sort, no Seq Scan. `queue = ANY(…) ORDER BY …` would sort the whole backlog.
-- Messages of tasks that this worker is known not to know are passed over once they are marked,
-- until nobody has known them for too long: a worker that knows them takes them at once.
-- The position lets a claim begin behind the dead entries of everything that was done since the
-- oldest open snapshot: without it the same claim took 136 us a task there instead of 11.
-- Queues that are paused are left out, each by a probe of its row (SubPlan, 1 us): `IS NOT TRUE`
-- keeps that out of the join, where the messages would be locked first.
-- Messages of tasks that are paused are not taken but held: out of this index, and so met once. The
-- caller is told of them, by deliveries = -1, for they count in the limit. The names are read anew by
-- each claim (two InitPlans, index scans of the paused ones, 15 us; in FROM it cost more): a pause
-- holds for every claim that begins after its commit. For all other messages the state does not
-- change, so that their update is heap-only as before.
-- UPDATE … RETURNING gives rows in no order: the caller sorts them by (rank, seq).
-- Followed by taken.sql.
WITH taken AS (
    UPDATE djtasks_message
    SET worker_id = CASE WHEN task = ANY (ARRAY(
            SELECT name FROM djtasks_tasksetting WHERE paused_at IS NOT NULL
        )) THEN NULL ELSE %(worker)s END,
        state = CASE WHEN task = ANY (ARRAY(
            SELECT name FROM djtasks_tasksetting WHERE paused_at IS NOT NULL
        )) THEN 4 ELSE 0 END,
        started_at = now()
    WHERE ctid = ANY (ARRAY(
        SELECT ready.ctid
        FROM unnest(%(queues)s::text[], %(ranks)s::int[], %(seqs)s::bigint[])
            AS position (queue, rank, seq)
        CROSS JOIN LATERAL (
            SELECT m.ctid
            FROM djtasks_message m
            WHERE m.state = 0
              AND m.queue = position.queue
              AND (m.rank, m.seq) > (position.rank, position.seq)
              AND m.worker_id IS NULL
              AND (m.task <> ALL (%(unknown)s::text[])
                   OR m.unknown_since IS NULL
                   OR m.unknown_since < now() - make_interval(secs => %(unknown_timeout)s))
            ORDER BY m.rank, m.seq
            LIMIT %(limit)s
            FOR UPDATE SKIP LOCKED
        ) AS ready
        WHERE EXISTS (
            SELECT FROM djtasks_queue q
            WHERE q.name = position.queue AND q.paused_at IS NOT NULL
        ) IS NOT TRUE
        LIMIT %(limit)s
    ))
    RETURNING id, task, payload, payload_id, options, queue, rank, seq, retries,
              CASE state WHEN 4 THEN -1 ELSE deliveries END AS deliveries,
              eta, expires, enqueued_at, unknown_since, custom_id, root_id, parent_id,
              feeds, position, lane, fair
)
