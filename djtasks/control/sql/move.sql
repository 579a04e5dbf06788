-- Give messages that no worker has begun another queue or rank; they keep their place by age.
-- In an order of a key ranks do not count: of such a message only the queue can be another.
-- In another queue there may be workers that know the task: that is found out anew.
-- Plan: Index Scan using djtasks_message_pkey.
UPDATE djtasks_message
SET queue = coalesce(%(queue)s::text, queue),
    rank = CASE WHEN starts_with(lane, 'order:') THEN rank ELSE coalesce(%(rank)s::int, rank) END,
    unknown_since = CASE WHEN queue = coalesce(%(queue)s::text, queue) THEN unknown_since END
WHERE id = ANY (ARRAY(
    SELECT m.id FROM djtasks_message m
    WHERE m.id = ANY (%(ids)s::uuid[]) AND m.worker_id IS NULL
      AND (%(queue)s::text IS NOT NULL OR starts_with(m.lane, 'order:') IS NOT TRUE)
    FOR UPDATE SKIP LOCKED
))
RETURNING id, queue, state
