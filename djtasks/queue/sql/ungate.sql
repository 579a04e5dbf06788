-- Let all go on that are blocked by rates which there are no more, so many at a time.
-- Plan: Limit > LockRows > Index Scan using djtasks_message_gate; Index Scan using djtasks_message_pkey.
WITH freed AS (
    UPDATE djtasks_message
    SET state = 0, gate = NULL
    WHERE id = ANY (ARRAY(
        SELECT m.id FROM djtasks_message m
        WHERE m.gate = ANY (%(gates)s::text[]) AND m.state = 3
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING queue
)
SELECT DISTINCT queue FROM freed
