-- The lanes and rates that block messages, and a task of each: a loose index scan, from a
-- remembered one onward. With whether the first of them is one that nobody may claim: its queue or its
-- task is paused, or nobody serves that. Not in an order, where the others wait for it all the same.
-- Plan: Recursive Union of Limit > Index Scan using djtasks_message_gate.
WITH RECURSIVE blocked (gate, task, queue, number) AS (
    (SELECT gate, task, queue, 1 FROM djtasks_message
     WHERE gate > %(after)s AND state = 3
     ORDER BY gate, state, rank, seq LIMIT 1)
    UNION ALL
    SELECT f.gate, f.task, f.queue, blocked.number + 1
    FROM blocked
    CROSS JOIN LATERAL (
        SELECT m.gate, m.task, m.queue FROM djtasks_message m
        WHERE m.gate > blocked.gate AND m.state = 3
        ORDER BY m.gate, m.state, m.rank, m.seq LIMIT 1
    ) f
    WHERE blocked.number < %(limit)s
)
SELECT b.gate, b.task,
       NOT starts_with(b.gate, 'order:') AND (
           NOT djtasks_served(b.queue)
           OR b.task = ANY (ARRAY(
               SELECT name FROM djtasks_tasksetting WHERE paused_at IS NOT NULL
           ))
       )
FROM blocked b
