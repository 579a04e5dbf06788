-- Delete the results of tasks, with their large arguments and earlier attempts where no message
-- needs them.
WITH gone AS (
    DELETE FROM djtasks_taskresult r WHERE r.id = ANY (%s::uuid[])
    RETURNING r.id, r.payload_id
), bare AS MATERIALIZED (
    SELECT g.id, g.payload_id FROM gone g
    WHERE NOT EXISTS (SELECT FROM djtasks_message m WHERE m.id = ANY (ARRAY[g.id]))
), dropped AS (
    DELETE FROM djtasks_payload p USING bare b WHERE p.id = ANY (ARRAY[b.payload_id])
), forgotten AS (
    DELETE FROM djtasks_attempt a USING bare b WHERE a.task_id = ANY (ARRAY[b.id])
)
SELECT count(*) FROM gone
