-- End what waits for messages that failed, whatever is behind it too, in the same transaction.
-- Sent before the statement that ends the messages, and only for those still this worker's own.
-- A function, made by the migration: what waits is found wave by wave, each message once.
SELECT queues, ids::text[]
FROM djtasks_fail(
    (
        SELECT json_agg(f)
        FROM json_to_recordset(%(failed)s::json) AS f
            (cause uuid, owner int, feeds uuid, position int, name text,
             state text, result json, exception text, traceback text, repr text)
        WHERE EXISTS (
            SELECT FROM djtasks_message m
            WHERE m.id = ANY (ARRAY[f.cause]) AND m.worker_id = f.owner
        )
    )
)
