-- Whether an idle worker serves the queue.
CREATE FUNCTION djtasks_awaited(queue_name text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM djtasks_worker
        WHERE wants_work
          AND (queues IS NULL OR queue_name = ANY (queues))
          AND NOT (queue_name = ANY (excluded_queues))
    );
END
$$
