-- Enqueue one message of a call without options: what nearly every call is.
-- Plan: Insert on djtasks_message, Result.
INSERT INTO djtasks_message (id, task, payload, queue, rank) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (id) DO NOTHING
