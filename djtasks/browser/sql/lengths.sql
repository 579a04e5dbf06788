-- How many messages of each queue are ready, and how many are claimed. What may be counted is shared
-- by all queues; the last column says that there are more.
-- Counted is by the index alone. It does not say what is claimed, so for that rows are read from the
-- head of each queue, where claims look, in blocks, until one has nothing claimed in it.
-- Plan: Recursive Union of Limit > Index Only Scan using djtasks_message_ready (one probe a queue),
-- then a Recursive Union of Nested Loops with Limit > Index Scan using it (one a block), and Nested
-- Loop with Limit > Index Only Scan using it.
WITH RECURSIVE line (queue) AS (
    (SELECT queue FROM djtasks_message WHERE state = 0 ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT m.queue FROM djtasks_message m
            WHERE m.state = 0 AND m.queue > line.queue
            ORDER BY m.queue LIMIT 1)
    FROM line
    WHERE line.queue IS NOT NULL
), share (rows) AS (
    SELECT greatest(100, least(%(limit)s, %(budget)s / count(queue))) FROM line HAVING count(queue) > 0
), head (queue, rank, seq, claimed, looked) AS (
    SELECT line.queue, block.rank, block.seq, block.claimed, %(head)s
    FROM line
    CROSS JOIN LATERAL (
        -- The last of a block is where the next one begins; one that is not full has none.
        SELECT (array_agg(h.rank))[%(head)s] AS rank, (array_agg(h.seq))[%(head)s] AS seq,
               count(h.worker_id) AS claimed
        FROM (
            SELECT m.rank, m.seq, m.worker_id
            FROM djtasks_message m
            WHERE m.state = 0 AND m.queue = line.queue
            ORDER BY m.rank, m.seq
            LIMIT (SELECT least(%(head)s, rows + 1) FROM share)
        ) AS h
    ) AS block
    WHERE line.queue IS NOT NULL
    UNION ALL
    SELECT head.queue, block.rank, block.seq, block.claimed, head.looked + %(head)s
    FROM head
    CROSS JOIN LATERAL (
        SELECT (array_agg(h.rank))[%(head)s] AS rank, (array_agg(h.seq))[%(head)s] AS seq,
               count(h.worker_id) AS claimed
        FROM (
            SELECT m.rank, m.seq, m.worker_id
            FROM djtasks_message m
            WHERE m.state = 0 AND m.queue = head.queue AND (m.rank, m.seq) > (head.rank, head.seq)
            ORDER BY m.rank, m.seq
            LIMIT (SELECT least(%(head)s, rows + 1 - head.looked) FROM share)
        ) AS h
    ) AS block
    WHERE head.claimed > 0 AND head.rank IS NOT NULL AND head.looked <= (SELECT rows FROM share)
), claimed (queue, number) AS (
    SELECT queue, sum(claimed)::bigint FROM head GROUP BY queue
)
SELECT claimed.queue, counted.number - claimed.number, claimed.number,
       counted.number > share.rows
FROM claimed
CROSS JOIN share
CROSS JOIN LATERAL (
    SELECT count(*) AS number
    FROM (
        SELECT
        FROM djtasks_message m
        WHERE m.state = 0 AND m.queue = claimed.queue
        ORDER BY m.rank, m.seq
        LIMIT (SELECT rows + 1 FROM share)
    ) AS c
) AS counted
