-- Enqueue calls like those of ended tasks: in no workflow, with large arguments of their own.
-- Plan: Nested Loops over the ids, Index Scans using the primary keys.
WITH made AS MATERIALIZED (
    SELECT n.new, n.options, n.lane, n.fair, r.task, r.queue, r.rank, r.payload, r.payload_id
    FROM unnest(%(olds)s::uuid[], %(news)s::uuid[], %(options)s::text[], %(lanes)s::text[],
                %(fairs)s::text[])
        WITH ORDINALITY AS n (old, new, options, lane, fair, place)
    JOIN djtasks_taskresult r ON r.id = n.old
    ORDER BY n.place
), copied AS (
    INSERT INTO djtasks_payload (id, body)
    SELECT m.new, p.body FROM made m JOIN djtasks_payload p ON p.id = m.payload_id
), queued AS (
    INSERT INTO djtasks_message
        (id, task, queue, rank, payload, payload_id, options, lane, fair, state)
    SELECT new, task, queue, rank, payload, CASE WHEN payload_id IS NOT NULL THEN new END, options,
           lane, fair, CASE WHEN fair IS NULL THEN 0 ELSE 5 END
    FROM made
    RETURNING queue
)
SELECT DISTINCT queue FROM queued
