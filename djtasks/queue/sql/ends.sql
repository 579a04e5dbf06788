-- Which of these tasks have ended and how; the first of them with their results.
-- What counts as an end is told by TaskState.state; a stored end beside a message that was not
-- updated since it was claimed belongs to an earlier run of the same id.
-- Plan: Nested Loop over the ids, Index Scan using both primary keys; hash joins for many ids.
SELECT i.place,
       r.state,
       CASE WHEN i.place <= %(valued)s THEN r.result END AS result,
       CASE WHEN i.place <= %(valued)s THEN r.traceback END AS traceback,
       CASE WHEN i.place <= %(valued)s THEN r.children END AS children,
       r.feeds IS NOT NULL AND r.position IS NULL AS is_followed
FROM unnest(%(ids)s::text::uuid[]) WITH ORDINALITY AS i (id, place)
JOIN djtasks_taskresult r ON r.id = i.id
LEFT JOIN djtasks_message m ON m.id = i.id
WHERE r.state IN ('SUCCESS', 'FAILURE', 'REVOKED')
  AND (m.id IS NULL OR r.updated_at > m.started_at)
ORDER BY i.place
