-- Give messages that no worker has begun another queue or rank; they keep their place by age.
-- In another queue there may be workers that know the task: that is found out anew.
-- Plan: Index Scan using djtasks_message_pkey.
UPDATE djtasks_message
SET queue = coalesce(%(queue)s::text, queue),
    rank = coalesce(%(rank)s::int, rank),
    unknown_since = CASE WHEN queue = coalesce(%(queue)s::text, queue) THEN unknown_since END
WHERE id = ANY (ARRAY(
    SELECT m.id FROM djtasks_message m
    WHERE m.id = ANY (%(ids)s::uuid[]) AND m.worker_id IS NULL
    FOR UPDATE SKIP LOCKED
))
RETURNING id, queue, state
