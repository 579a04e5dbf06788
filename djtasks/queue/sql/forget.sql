-- Delete the results of tasks, with their large arguments where no message needs them.
WITH gone AS (
    DELETE FROM djtasks_taskresult r WHERE r.id = ANY (%s::uuid[])
    RETURNING r.id, r.payload_id
), dropped AS (
    DELETE FROM djtasks_payload p USING gone
    WHERE p.id = gone.payload_id
      AND NOT EXISTS (SELECT FROM djtasks_message m WHERE m.id = gone.id)
)
SELECT count(*) FROM gone
