-- How long the oldest ready message of each queue has waited, in seconds: those of each rank are in
-- the order in which they became ready. Ranks are looked at to a limit in each queue.
-- A step of a workflow was enqueued long before it became ready: that was when what it waited for
-- ended, as far as that is known. One that a limit has just let through is left out: it has waited
-- for that, and not for a worker.
-- Plan: Recursive Union of Limit > Index Only Scan using djtasks_message_ready (one probe for each
-- queue and rank), then Nested Loop with Limit > Index Scan using it; SubPlans with Index Scans
-- using djtasks_taskresult_pkey and djtasks_taskresult_root.
WITH RECURSIVE line (queue, rank, number) AS (
    (SELECT queue, rank, 1 FROM djtasks_message WHERE state = 0 ORDER BY queue, rank LIMIT 1)
    UNION ALL
    SELECT n.queue, n.rank, CASE WHEN n.queue = line.queue THEN line.number + 1 ELSE 1 END
    FROM line
    CROSS JOIN LATERAL (
        SELECT m.queue, m.rank
        FROM djtasks_message m
        WHERE m.state = 0
          AND (m.queue, m.rank)
              > (line.queue, CASE WHEN line.number < %(ranks)s THEN line.rank ELSE 2147483647 END)
        ORDER BY m.queue, m.rank
        LIMIT 1
    ) AS n
)
SELECT line.queue,
       extract(epoch FROM now() - min(greatest(
           head.enqueued_at,
           head.eta,
           CASE WHEN head.after IS NOT NULL THEN (
               SELECT max(r.date_done)
               FROM (
                   SELECT p.date_done, true AS is_before
                   FROM djtasks_taskresult p
                   WHERE p.id = head.parent_id
                   UNION ALL
                   (SELECT w.date_done, w.feeds = head.after
                    FROM djtasks_taskresult w
                    WHERE w.root_id = head.root_id
                    LIMIT 100)
               ) AS r
               WHERE r.is_before
           ) END
       )))::float8
FROM line
CROSS JOIN LATERAL (
    SELECT m.enqueued_at, m.eta, m.after, m.parent_id, m.root_id
    FROM djtasks_message m
    WHERE m.state = 0 AND m.queue = line.queue AND m.rank = line.rank AND m.worker_id IS NULL
      AND m.gate IS NULL
    ORDER BY m.seq
    LIMIT 1
) AS head
GROUP BY line.queue
