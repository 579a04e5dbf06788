-- Workflows of which something waits and nothing can run: somebody deleted what was waited for. Of
-- the first that wait (the ids of joins are in the order of time) those enqueued long ago.
-- A workflow of which much is queued is left out, for it would have to be read whole.
-- Plan: HashAggregate over Limit > Index Scan using djtasks_message_after; SubPlans with Limit >
-- Index Scans using djtasks_message_root and djtasks_message_pkey.
SELECT old.root_id
FROM (
    SELECT DISTINCT first.root_id
    FROM (
        SELECT m.root_id, m.enqueued_at
        FROM djtasks_message m
        WHERE m.state = 2
        ORDER BY m.after
        LIMIT %(head)s
    ) AS first
    WHERE first.root_id IS NOT NULL
      AND first.enqueued_at < now() - make_interval(secs => %(seconds)s)
) AS old
WHERE NOT EXISTS (
          SELECT FROM djtasks_message r WHERE r.id = old.root_id AND r.state <> 2
      )
  AND (
          SELECT bool_and(o.state = 2) AND count(*) < %(members)s
          FROM (
              SELECT m.state
              FROM djtasks_message m
              WHERE m.root_id = old.root_id
              LIMIT %(members)s
          ) AS o
      )
LIMIT %(limit)s
