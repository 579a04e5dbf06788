-- The tasks that follow one in its chain: those after the join that has its result alone.
-- Plan: Index Scans using the primary keys, then djtasks_message_root and djtasks_taskresult_root.
WITH task AS (
    SELECT root_id, feeds FROM djtasks_taskresult
    WHERE id = %(id)s AND feeds IS NOT NULL AND position IS NULL
    UNION ALL
    SELECT root_id, feeds FROM djtasks_message
    WHERE id = %(id)s AND feeds IS NOT NULL AND position IS NULL
    LIMIT 1
)
SELECT f.id, f.custom_id,
       CASE WHEN f.position IS NULL THEN f.options::json ->> 'group' ELSE f.feeds::text END
FROM task t
CROSS JOIN LATERAL (
    SELECT m.id, m.custom_id, m.options, m.position, m.feeds
    FROM djtasks_message m WHERE m.root_id = t.root_id AND m.after = t.feeds
    UNION
    SELECT r.id, r.custom_id, r.options, r.position, r.feeds
    FROM djtasks_taskresult r WHERE r.root_id = t.root_id AND r.after = t.feeds
) AS f
ORDER BY f.id
