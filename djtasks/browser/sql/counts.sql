-- The numbers of the overview that no queue tells, each counted to a limit.
-- Plan: Limits over Index Only Scans using djtasks_message_due, djtasks_message_after,
-- djtasks_message_gate, djtasks_taskresult_bad and djtasks_message_held.
SELECT (SELECT count(*) FROM (
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
        ) AS failed),
       (SELECT count(*) FROM (
            SELECT FROM djtasks_message WHERE state = 4 LIMIT %(limit)s + 1
        ) AS held)
