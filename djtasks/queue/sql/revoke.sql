-- Take messages that no worker has begun, to end them as revoked; one that is being claimed is left.
-- Plan: Update, Index Scan using djtasks_message_pkey.
-- Followed by taken.sql.
WITH taken AS (
    UPDATE djtasks_message
    SET worker_id = %(worker)s
    WHERE id = ANY (ARRAY(
        SELECT m.id
        FROM djtasks_message m
        WHERE m.id = ANY (%(ids)s::uuid[]) AND m.worker_id IS NULL
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING id, task, payload, payload_id, options, queue, rank, seq, retries, deliveries,
              eta, expires, enqueued_at, unknown_since, custom_id, root_id, parent_id,
              feeds, position, lane, fair
)
