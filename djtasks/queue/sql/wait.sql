-- Leave word that this connection waits for tasks.
INSERT INTO djtasks_waiter (task_id, listener)
SELECT id, pg_backend_pid() FROM unnest(%s::uuid[]) AS i (id)
