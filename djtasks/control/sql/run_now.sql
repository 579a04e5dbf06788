-- Make scheduled messages ready, behind what is ready already, where claims look.
-- Only rows that are changed are locked: a claim passes over locked ones, and only the queues of
-- changed ones are told of afterwards.
-- Plan: Index Scan using djtasks_message_pkey.
UPDATE djtasks_message
SET state = CASE WHEN fair IS NULL THEN 0 ELSE 5 END, eta = NULL, seq = nextval('djtasks_message_seq')
WHERE id = ANY (ARRAY(
    SELECT m.id FROM djtasks_message m
    WHERE m.id = ANY (%(ids)s::uuid[]) AND m.state = 1 AND m.worker_id IS NULL
    FOR UPDATE SKIP LOCKED
))
RETURNING id, queue
