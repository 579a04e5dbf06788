-- Take over messages of a dead worker that are not to run again, to record what became of them.
-- Plan: Update, Index Scan using djtasks_message_pkey (a loop).
-- Followed by taken.sql.
WITH taken AS (
    UPDATE djtasks_message
    SET worker_id = %(worker)s
    WHERE id = ANY (%(ids)s::uuid[]) AND worker_id = ANY (%(owners)s::int[])
    RETURNING id, task, payload, payload_id, options, queue, rank, seq, retries, deliveries,
              eta, expires, enqueued_at, unknown_since, custom_id, root_id, parent_id,
              feeds, position, lane, fair
)
