-- Enqueue many messages of calls without options in one round trip.
-- Plan: Insert on djtasks_message, Function Scan on unnest.
-- Measured, microseconds a message with the building of the parameters: this 9.6;
-- insert_many.sql 12.3; COPY, which knows no ON CONFLICT, 7.2.
INSERT INTO djtasks_message (id, task, payload, queue, rank)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::int[])
ON CONFLICT (id) DO NOTHING
