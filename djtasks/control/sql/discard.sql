-- Delete messages that nobody runs and no other task waits for, with all that is kept of them. An
-- end that is stored beside one belongs to an earlier run of the same id, and stays.
-- The queue is looked at again: one that was moved meanwhile is out of it.
-- Plan: Index Scans using the primary keys, and djtasks_attempt_task_id...
WITH gone AS (
    DELETE FROM djtasks_message
    WHERE id = ANY (ARRAY(
        SELECT m.id FROM djtasks_message m
        WHERE m.id = ANY (%(ids)s::uuid[]) AND m.worker_id IS NULL AND m.feeds IS NULL
          AND m.queue = %(queue)s
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
), bare AS MATERIALIZED (
    SELECT g.id FROM gone g
    WHERE NOT EXISTS (
        SELECT FROM djtasks_taskresult r WHERE r.id = g.id AND r.date_done IS NOT NULL
    )
), states AS (
    DELETE FROM djtasks_taskresult r USING bare b WHERE r.id = ANY (ARRAY[b.id])
), payloads AS (
    DELETE FROM djtasks_payload p USING bare b WHERE p.id = ANY (ARRAY[b.id])
), attempts AS (
    DELETE FROM djtasks_attempt a USING bare b WHERE a.task_id = ANY (ARRAY[b.id])
)
SELECT count(*) FROM gone
