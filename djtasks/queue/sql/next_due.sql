-- Seconds until the next scheduled message is due; no row if there is none.
-- Plan: Limit > Index Scan using djtasks_message_due.
SELECT extract(epoch FROM eta - now())::float8
FROM djtasks_message
WHERE state = 1
ORDER BY eta
LIMIT 1
