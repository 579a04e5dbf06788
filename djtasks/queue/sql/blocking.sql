-- The lanes and rates that block messages, and a task of each: a loose index scan, from a
-- remembered one onward.
-- Plan: Recursive Union of Limit > Index Scan using djtasks_message_gate.
WITH RECURSIVE blocked (gate, task, number) AS (
    (SELECT gate, task, 1 FROM djtasks_message
     WHERE gate > %(after)s AND state = 3
     ORDER BY gate, state, rank, seq LIMIT 1)
    UNION ALL
    SELECT f.gate, f.task, blocked.number + 1
    FROM blocked
    CROSS JOIN LATERAL (
        SELECT m.gate, m.task FROM djtasks_message m
        WHERE m.gate > blocked.gate AND m.state = 3
        ORDER BY m.gate, m.state, m.rank, m.seq LIMIT 1
    ) f
    WHERE blocked.number < %(limit)s
)
SELECT gate, task FROM blocked
