-- How much would be deleted as older than so many seconds, each counted to a limit.
-- Plan: Limits over Index Only Scans using djtasks_taskresult_done and djtasks_savedgroup_saved_at...
SELECT (SELECT count(*) FROM (
            SELECT FROM djtasks_taskresult
            WHERE date_done < now() - make_interval(secs => %(age)s) LIMIT %(limit)s
        ) AS results),
       (SELECT count(*) FROM (
            SELECT FROM djtasks_savedgroup
            WHERE saved_at < now() - make_interval(secs => %(age)s) LIMIT %(limit)s
        ) AS groups)
