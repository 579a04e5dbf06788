-- Delete a small batch of results that have expired, with their attempts and large arguments.
-- Plan: Limit > Index Scan using djtasks_taskresult_done, then Index Scans using the primary keys.
-- `= ANY (ARRAY[...])` as in finish.sql: with the statistics of an empty table `=` read all results
-- for each batch, which held up the heartbeat.
WITH old AS (
    SELECT id
    FROM djtasks_taskresult
    WHERE date_done < now() - make_interval(secs => %(age)s)
    ORDER BY date_done
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM djtasks_taskresult r USING old
    WHERE r.id = ANY (ARRAY[old.id])
    RETURNING r.id, r.payload_id
), attempts AS (
    DELETE FROM djtasks_attempt a USING gone
    WHERE a.task_id = ANY (ARRAY[gone.id])
      AND NOT EXISTS (SELECT FROM djtasks_message m WHERE m.id = ANY (ARRAY[gone.id]))
), dropped AS (
    DELETE FROM djtasks_payload p USING gone
    WHERE p.id = ANY (ARRAY[gone.payload_id])
      AND NOT EXISTS (
          SELECT FROM djtasks_message m
          WHERE m.id = ANY (ARRAY[gone.id]) AND m.payload_id = p.id
      )
)
SELECT count(*) FROM gone
