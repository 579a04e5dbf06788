-- Claim up to {limit} messages that stand in lines: one of each line, then a second of each, and so
-- on, beginning behind the line that was served last in each queue.
-- Each queue has two parts, from there to the end, and from the beginning to there; a loose scan
-- goes from line to line, to those that have something for this worker, paused queues left out.
-- It reads all dead entries at the head of a line. Of long lines the worker gives the places to
-- which it has come (spots): the scan jumps over them, and what is taken is taken from there.
-- What is taken leaves the index of the lines: it is ready, has a worker, and had its turn.
-- Messages of tasks that are paused are held instead, as in claim.sql.
-- Plan: Tid Scan on djtasks_message, its list made by Limit > Nested Loop > LockRows > Index Scan
-- using djtasks_message_line; the scan is a Recursive Union of Limit > Index Scan using the same.
-- UPDATE … RETURNING gives rows in no order: the caller has each line take its turn.
-- Followed by taken.sql.
WITH RECURSIVE spot AS MATERIALIZED (
    SELECT s.queue, s.fair COLLATE "C" AS fair, s.rank, s.seq + 1 AS seq
    FROM unnest(%(spot_queues)s::text[], %(spots)s::text[], %(ranks)s::int[], %(seqs)s::bigint[])
        AS s (queue, fair, rank, seq)
), line (queue, place, part, fair, upto, rank, seq, number, here) AS (
    SELECT q.name, q.place, p.part, p.fair COLLATE "C", p.upto COLLATE "C",
           NULL::int, NULL::bigint, 0, false
    FROM unnest(%(queues)s::text[], %(afters)s::text[]) WITH ORDINALITY AS q (name, after, place)
    CROSS JOIN LATERAL (
        -- Keys are shorter than the greatest that could be; chr(1) makes the next greater one.
        VALUES (1, q.after, repeat(chr(1114111), 201)), (2, '', q.after || chr(1))
    ) AS p (part, fair, upto)
    WHERE EXISTS (
        SELECT FROM djtasks_queue x WHERE x.name = q.name AND x.paused_at IS NOT NULL
    ) IS NOT TRUE
    UNION ALL
    SELECT l.queue, l.place, l.part, coalesce(f.fair, s.fair), l.upto,
           CASE WHEN f.fair IS NULL THEN s.rank ELSE f.rank END,
           CASE WHEN f.fair IS NULL THEN s.seq ELSE f.seq END,
           l.number + (h.here)::int, h.here
    FROM line l
    LEFT JOIN LATERAL (
        SELECT k.fair, k.rank, k.seq
        FROM spot k
        WHERE k.queue = l.queue AND k.fair > l.fair AND k.fair < l.upto
        ORDER BY k.fair
        LIMIT 1
    ) s ON true
    LEFT JOIN LATERAL (
        SELECT m.fair, m.rank, m.seq
        FROM djtasks_message m
        WHERE m.state = 5
          AND m.queue = l.queue
          AND m.fair > l.fair AND m.fair < coalesce(s.fair, l.upto)
          AND (m.task <> ALL (%(unknown)s::text[])
               OR m.unknown_since IS NULL
               OR m.unknown_since < now() - make_interval(secs => %(unknown_timeout)s))
        ORDER BY m.fair, m.rank, m.seq
        LIMIT 1
    ) f ON true
    CROSS JOIN LATERAL (
        SELECT CASE WHEN f.fair IS NOT NULL THEN true ELSE EXISTS (
            SELECT FROM djtasks_message m
            WHERE m.state = 5
              AND m.queue = l.queue AND m.fair = s.fair AND (m.rank, m.seq) >= (s.rank, s.seq)
              AND (m.task <> ALL (%(unknown)s::text[])
                   OR m.unknown_since IS NULL
                   OR m.unknown_since < now() - make_interval(secs => %(unknown_timeout)s))
        ) END AS here
    ) h
    WHERE l.number < %(width)s AND coalesce(f.fair, s.fair) IS NOT NULL
), met AS MATERIALIZED (
    SELECT r.queue, r.fair, r.rank, r.seq, row_number() OVER (ORDER BY r.turn, r.place) AS turn
    FROM (
        SELECT l.*, row_number() OVER (PARTITION BY l.place ORDER BY l.part, l.number) AS turn
        FROM line l
        WHERE l.here
    ) r
), served AS MATERIALIZED (
    SELECT m.queue, m.fair, m.rank, m.seq,
           greatest(1, %(limit)s / n.lines + (m.turn <= %(limit)s %% n.lines)::int) AS share
    FROM met m
    CROSS JOIN (SELECT least(count(*), %(width)s) AS lines FROM met) n
    ORDER BY m.turn
    LIMIT %(width)s
), claimed AS (
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
        FROM served s
        CROSS JOIN LATERAL (
            SELECT m.ctid
            FROM djtasks_message m
            WHERE m.state = 5
              AND m.queue = s.queue
              AND m.fair = s.fair
              AND (m.rank, m.seq) >= (s.rank, s.seq)
              AND (m.task <> ALL (%(unknown)s::text[])
                   OR m.unknown_since IS NULL
                   OR m.unknown_since < now() - make_interval(secs => %(unknown_timeout)s))
            ORDER BY m.rank, m.seq
            LIMIT s.share
            FOR UPDATE SKIP LOCKED
        ) AS ready
        LIMIT %(limit)s
    ))
    RETURNING id, task, payload, payload_id, options, queue, rank, seq, retries,
              CASE state WHEN 4 THEN -1 ELSE deliveries END AS deliveries,
              eta, expires, enqueued_at, unknown_since, custom_id, root_id, parent_id,
              feeds, position, lane, fair
), taken AS (
    -- One row of nothing if there are lines and others have locked what is first in them.
    SELECT c.* FROM (SELECT FROM met LIMIT 1) AS any_line LEFT JOIN claimed c ON true
)
