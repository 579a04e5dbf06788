-- Enqueue one message outside of any transaction. An idle worker is told of it while the disk is
-- still being written: its claim is behind the message in the log, so the claim's commit, which
-- comes before the task begins, makes both durable. The caller waits for the disk in the end: a
-- commit needs a record of its own to wait for.
CREATE PROCEDURE djtasks_enqueue(
    INOUT inserted integer, new_id uuid, task_name text, body text,
    queue_name text, new_rank integer
)
LANGUAGE plpgsql AS $$
DECLARE
    awaited boolean := djtasks_awaited(queue_name);
BEGIN
    IF awaited THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    INSERT INTO djtasks_message (id, task, payload, queue, rank)
    VALUES (new_id, task_name, body, queue_name, new_rank)
    ON CONFLICT (id) DO NOTHING;
    GET DIAGNOSTICS inserted = ROW_COUNT;
    COMMIT;
    -- After the commit: a worker that begins to wait now sees the message itself.
    IF awaited OR djtasks_awaited(queue_name) THEN
        PERFORM pg_notify('djtasks_wake', queue_name);
        COMMIT;
    END IF;
    IF awaited THEN
        PERFORM pg_logical_emit_message(true, 'djtasks', '');
        COMMIT;
    END IF;
END
$$
