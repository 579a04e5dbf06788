-- Give claimed messages back to their queue: at once in their old place, or after a delay.
-- Plan: Update on djtasks_message, Nested Loop (Function Scan, Index Scan using ..._pkey).
UPDATE djtasks_message m
SET worker_id = NULL,
    started_at = NULL,
    deliveries = m.deliveries + coalesce(r.deliveries, 0),
    state = CASE WHEN r.delay > 0 THEN 1 ELSE 0 END,
    eta = CASE WHEN r.delay > 0 THEN now() + make_interval(secs => r.delay) ELSE m.eta END,
    unknown_since = CASE WHEN r.unknown THEN coalesce(m.unknown_since, now())
                         ELSE m.unknown_since END
FROM json_to_recordset(%(outcomes)s::json) AS r
    (id uuid, owner int, deliveries int, delay float8, unknown boolean)
WHERE m.id = ANY (ARRAY[r.id]) AND m.worker_id = r.owner
