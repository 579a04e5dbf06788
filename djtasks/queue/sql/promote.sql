-- Make scheduled messages ready whose time has come, in the order of their times.
-- They get their place in the order now, behind what was ready before them.
-- Plan: Limit > LockRows > Index Scan using djtasks_message_due; no Sort.
WITH due AS (
    SELECT id
    FROM djtasks_message
    WHERE state = 1 AND eta <= now()
    ORDER BY eta
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
), promoted AS (
    UPDATE djtasks_message m
    SET state = CASE WHEN m.fair IS NULL THEN 0 ELSE 5 END, seq = nextval('djtasks_message_seq')
    FROM due
    WHERE m.id = ANY (ARRAY[due.id])
    RETURNING m.queue
)
SELECT DISTINCT queue FROM promoted
