-- Enqueue one message.
-- Plan: Insert on djtasks_message, Result. The columns that a plain call leaves empty cost nothing.
INSERT INTO djtasks_message
    (id, task, payload, payload_id, queue, rank, state, eta, expires, retries,
     custom_id, root_id, parent_id, options, lane, fair)
VALUES
    (%s, %s, %s, %s, %s, %s,
     CASE WHEN %s::timestamptz > now() THEN 1 WHEN %s::text IS NOT NULL THEN 5 ELSE 0 END, %s, %s, %s,
     %s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO NOTHING
