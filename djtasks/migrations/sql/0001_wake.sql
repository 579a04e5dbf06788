-- Notify if an idle worker serves the queue.
CREATE FUNCTION djtasks_wake(channel text, queue_name text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF djtasks_awaited(queue_name) THEN
        PERFORM pg_notify(channel, queue_name);
    END IF;
END
$$
