-- Whether a worker serves a queue that is not paused.
CREATE FUNCTION djtasks_served(queue_name text) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM djtasks_queue q WHERE q.name = queue_name AND q.paused_at IS NOT NULL
    ) IS NOT TRUE AND EXISTS (
        SELECT FROM djtasks_worker w
        WHERE NOT w.quiet
          AND (w.queues IS NULL OR queue_name = ANY (w.queues))
          AND NOT (queue_name = ANY (w.excluded_queues))
    );
END
$$
