-- How many messages nobody has made ready though their time has come, counted to a limit, and for
-- how many seconds the first of them has been due. Any worker does it, whatever it serves.
-- Plan: Aggregate over Limit > Index Scan using djtasks_message_due.
SELECT count(*), extract(epoch FROM now() - min(due.eta))::float8
FROM (
    SELECT m.eta
    FROM djtasks_message m
    WHERE m.state = 1 AND m.eta < now() - make_interval(secs => %(seconds)s)
    ORDER BY m.eta
    LIMIT %(limit)s + 1
) AS due
