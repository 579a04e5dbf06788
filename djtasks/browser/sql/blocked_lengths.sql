-- How many messages of each queue are blocked, of those first in the order of what blocks them; and
-- whether there are more than were counted.
-- Plan: HashAggregate over Limit > Index Scan using djtasks_message_gate.
SELECT b.queue, count(*), sum(count(*)) OVER () > %(limit)s
FROM (
    SELECT m.queue
    FROM djtasks_message m
    WHERE m.gate IS NOT NULL AND m.state = 3
    LIMIT %(limit)s + 1
) AS b
GROUP BY b.queue
