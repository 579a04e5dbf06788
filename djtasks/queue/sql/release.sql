-- Give claimed messages back to their queue: at once in their old place, or after a delay.
-- A run that is counted against the task is kept as an attempt, with the name of its worker.
-- Plan: Update on djtasks_message, Nested Loop (Function Scan, Index Scan using ..._pkey).
WITH r AS (
    SELECT *
    FROM json_to_recordset(%(outcomes)s::json) AS o
        (id uuid, owner int, deliveries int, delay float8, unknown boolean,
         attempt text, raised text, message text, runtime float8)
), lost AS (
    -- As it is before the change, which takes away when it was begun.
    SELECT m.id, m.retries, m.started_at, w.hostname,
           r.attempt, r.raised, r.message, r.runtime
    FROM r
    -- OFFSET 0: as a plain join it may begin with the messages, all of them.
    CROSS JOIN LATERAL (
        SELECT x.id, x.retries, x.started_at
        FROM djtasks_message x
        WHERE x.id = ANY (ARRAY[r.id])
        OFFSET 0
    ) m
    LEFT JOIN djtasks_worker w ON w.id = r.owner
    WHERE r.deliveries > 0
), released AS (
    UPDATE djtasks_message m
    SET worker_id = NULL,
        started_at = NULL,
        deliveries = m.deliveries + coalesce(r.deliveries, 0),
        state = CASE WHEN r.delay > 0 THEN 1 WHEN m.fair IS NOT NULL THEN 5 ELSE 0 END,
        eta = CASE WHEN r.delay > 0 THEN now() + make_interval(secs => r.delay) ELSE m.eta END,
        unknown_since = CASE WHEN r.unknown THEN coalesce(m.unknown_since, now())
                             ELSE m.unknown_since END
    FROM r
    WHERE m.id = ANY (ARRAY[r.id]) AND m.worker_id = r.owner
    RETURNING m.id
)
INSERT INTO djtasks_attempt
    (task_id, number, state, exception, message, worker, started_at, runtime)
SELECT l.id,
       greatest(l.retries, (SELECT max(t.number) FROM djtasks_attempt t WHERE t.task_id = l.id))
           + 1,
       coalesce(l.attempt, 'LOST'), l.raised, l.message, l.hostname, l.started_at, l.runtime
FROM lost l
JOIN released ON released.id = l.id
