-- Lock the counting joins that the ends of these messages may reach, always in the order of their
-- ids and before anything else of the transaction: two turns then never wait for each other in a
-- circle. A message that failed reaches everything behind its join.
-- Plan: Recursive Union over Index Scan using djtasks_message_after, LockRows over Sort.
WITH RECURSIVE reached (id) AS (
    SELECT unnest(%(failing)s::text::uuid[])
    UNION
    SELECT m.feeds
    FROM reached r
    CROSS JOIN LATERAL (
        SELECT x.feeds FROM djtasks_message x WHERE x.after = r.id AND x.state = 2 OFFSET 0
    ) m
    WHERE m.feeds IS NOT NULL
)
SELECT j.id
FROM djtasks_join j
WHERE j.id = ANY (ARRAY(SELECT id FROM reached UNION SELECT unnest(%(counted)s::text::uuid[])))
ORDER BY j.id
FOR UPDATE
