-- Let those go by which nobody may claim, and who are the first that a lane or a rate blocks: ready
-- in their queue, or held with their task, they are in nobody's way. Each is asked for anew once it
-- is claimed. So many of each gate are looked at.
-- Plan: Update, Index Scan using djtasks_message_pkey; LockRows over Nested Loops of Limit > Index Scan
-- using djtasks_message_gate and Index Scan using djtasks_message_pkey.
WITH paused AS MATERIALIZED (
    SELECT ARRAY(SELECT name FROM djtasks_tasksetting WHERE paused_at IS NOT NULL) AS tasks
), gone AS (
    UPDATE djtasks_message
    SET state = CASE WHEN task = ANY ((SELECT tasks FROM paused)::text[]) THEN 4 ELSE 0 END,
        gate = NULL
    WHERE id = ANY (ARRAY(
        SELECT m.id
        FROM unnest(%(gates)s::text[]) AS g (name)
        CROSS JOIN LATERAL (
            SELECT x.id, x.queue, x.task
            FROM djtasks_message x
            WHERE x.gate = g.name AND x.state = 3
            ORDER BY x.rank, x.seq
            LIMIT %(limit)s
        ) b
        CROSS JOIN LATERAL (
            SELECT x.id FROM djtasks_message x
            WHERE x.id = b.id AND x.state + 0 = 3 AND x.worker_id IS NULL
              AND (NOT djtasks_served(b.queue) OR b.task = ANY ((SELECT tasks FROM paused)::text[]))
            FOR UPDATE SKIP LOCKED
        ) m
    ))
    RETURNING queue
)
SELECT DISTINCT queue FROM gone
