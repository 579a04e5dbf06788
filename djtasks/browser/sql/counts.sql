-- The numbers of the overview, each counted to a limit.
-- Plan: Limits over Index Scans using djtasks_message_ready, djtasks_message_due,
-- djtasks_message_after, djtasks_message_gate and djtasks_taskresult_bad.
SELECT (SELECT count(*) FROM (
            SELECT FROM djtasks_message WHERE state = 0 AND worker_id IS NULL LIMIT %(limit)s + 1
        ) AS ready),
       (SELECT count(*) FROM (
            SELECT FROM djtasks_message WHERE state = 1 LIMIT %(limit)s + 1
        ) AS scheduled),
       (SELECT count(*) FROM (
            SELECT FROM djtasks_message WHERE state = 2 LIMIT %(limit)s + 1
        ) AS waiting),
       (SELECT count(*) FROM (
            SELECT FROM djtasks_message WHERE state = 3 AND gate IS NOT NULL LIMIT %(limit)s + 1
        ) AS blocked),
       (SELECT count(*) FROM (
            SELECT FROM djtasks_taskresult
            WHERE state = 'FAILURE' AND date_done >= now() - interval '24 hours'
            LIMIT %(limit)s + 1
        ) AS failed)
