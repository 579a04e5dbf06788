-- Lanes and rates that block messages which have long been there, though nothing of the lane runs or
-- is about to, or the rate should have let one go: a worker that knows the task does that within
-- seconds. How many each blocks, counted to a limit, and for how long the first has been there.
-- In an order whoever has the place may also wait for its time, or in a queue that is paused.
-- Plan: Recursive Union of Limit > Index Scan using djtasks_message_gate (one probe a gate), then
-- SubPlans with Index Scans using it, djtasks_place_pkey, djtasks_message_pkey, djtasks_rate_pkey.
WITH RECURSIVE blocked (gate, task, since, number) AS (
    (SELECT gate, task, greatest(enqueued_at, eta), 1 FROM djtasks_message
     WHERE gate IS NOT NULL AND state = 3
     ORDER BY gate, state, rank, seq LIMIT 1)
    UNION ALL
    SELECT f.gate, f.task, f.since, blocked.number + 1
    FROM blocked
    CROSS JOIN LATERAL (
        SELECT m.gate, m.task, greatest(m.enqueued_at, m.eta) AS since FROM djtasks_message m
        WHERE m.gate > blocked.gate AND m.state = 3
        ORDER BY m.gate, m.state, m.rank, m.seq LIMIT 1
    ) f
    WHERE blocked.number < %(gates)s
)
SELECT b.gate, b.task,
       (SELECT count(*) FROM (
            SELECT FROM djtasks_message c WHERE c.gate = b.gate AND c.state = 3 LIMIT %(limit)s + 1
        ) AS counted),
       extract(epoch FROM now() - b.since)::float8 AS seconds
FROM blocked b
WHERE b.since < now() - make_interval(secs => %(seconds)s)
  AND CASE WHEN starts_with(b.gate, 'rate:') THEN coalesce((
               SELECT coalesce(r.opens_at < now() - make_interval(secs => %(seconds)s), true)
               FROM djtasks_rate r WHERE r.name = b.gate
           ), true)
           ELSE NOT EXISTS (
               SELECT FROM djtasks_message l WHERE l.gate = b.gate AND l.state = 0
           ) AND NOT EXISTS (
               SELECT FROM djtasks_place p
               CROSS JOIN LATERAL (
                   SELECT FROM djtasks_message x
                   WHERE x.id = p.message_id AND x.lane = p.lane
                     AND (x.worker_id IS NOT NULL OR starts_with(p.lane, 'order:'))
                   OFFSET 0
               ) h
               WHERE p.lane = b.gate
           )
      END
ORDER BY seconds DESC
LIMIT %(most)s
