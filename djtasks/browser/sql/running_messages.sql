-- Messages that workers have claimed: those which workers name, and those at the head of a queue,
-- where claims are made. Nothing is indexed by worker, for that would cost every claim.
-- Plan: Append of an Index Scan using djtasks_message_pkey and, for each ready queue (a loose index
-- scan), an Index Scan using djtasks_message_ready.
WITH RECURSIVE ready (queue) AS (
    (SELECT queue FROM djtasks_message WHERE state = 0 ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT m.queue FROM djtasks_message m
            WHERE m.state = 0 AND m.queue > ready.queue
            ORDER BY m.queue LIMIT 1)
    FROM ready
    WHERE ready.queue IS NOT NULL
)
SELECT (extract(epoch FROM m.enqueued_at) * 1000000)::bigint, m.id, 0, ({matches}) IS TRUE
FROM (
    SELECT n.* FROM djtasks_message n WHERE n.id = ANY (%(ids)s::uuid[])
    UNION ALL
    SELECT h.*
    FROM ready
    CROSS JOIN LATERAL (
        SELECT * FROM djtasks_message
        WHERE state = 0 AND queue = ready.queue
        ORDER BY rank, seq
        LIMIT %(head)s
    ) AS h
    WHERE ready.queue IS NOT NULL
) AS m
WHERE m.worker_id IS NOT NULL
LIMIT %(scan)s
