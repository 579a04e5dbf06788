-- What belongs to a task: those that it called, and those whose results come together with its own.
-- A workflow is read to a limit; the last column says whether that was reached. A row without a
-- relation only says that there are others.
-- Plan: Limits over Index Scans using djtasks_message_root and djtasks_taskresult_root.
WITH queued AS MATERIALIZED (
    SELECT m.id, m.parent_id, m.feeds, m.position
    FROM djtasks_message m
    WHERE m.root_id = %(root)s
    LIMIT %(scan)s
), ended AS MATERIALIZED (
    SELECT r.id, r.parent_id, r.feeds, r.position
    FROM djtasks_taskresult r
    WHERE r.root_id = %(root)s
    LIMIT %(scan)s
), other AS (
    SELECT * FROM queued WHERE id <> %(id)s
    UNION ALL
    SELECT * FROM ended WHERE id <> %(id)s
), child AS (
    SELECT o.id FROM other o WHERE o.parent_id = %(id)s LIMIT %(most)s
), sibling AS (
    SELECT o.id FROM other o
    WHERE o.feeds = %(feeds)s::uuid
    ORDER BY o.position
    LIMIT %(most)s
)
SELECT f.relation, f.id,
       (SELECT count(*) FROM queued) >= %(scan)s OR (SELECT count(*) FROM ended) >= %(scan)s
FROM (
    SELECT 'child' AS relation, c.id FROM child c
    UNION ALL
    SELECT 'sibling', s.id FROM sibling s
    UNION ALL
    SELECT NULL, o.id FROM (SELECT id FROM other LIMIT 1) o
) f
