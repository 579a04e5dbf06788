-- Take over messages of a dead worker that are not to run again, to record what became of them.
-- Same columns as claim.sql. Plan: Update, Index Scan using djtasks_message_pkey (a loop).
WITH adopted AS (
    UPDATE djtasks_message
    SET worker_id = %(worker)s
    WHERE id = ANY (%(ids)s::uuid[]) AND worker_id = ANY (%(owners)s::int[])
    RETURNING id, task, payload, payload_id, options, queue, rank, seq, retries, deliveries,
              eta, expires, enqueued_at, unknown_since, custom_id, root_id, parent_id,
              feeds, position
)
SELECT c.id,
       c.task,
       coalesce(c.payload, p.body) AS payload,
       c.options,
       c.queue,
       c.rank,
       c.seq,
       c.retries,
       c.deliveries,
       extract(epoch FROM c.eta)::float8 AS eta,
       extract(epoch FROM c.expires)::float8 AS expires,
       extract(epoch FROM c.expires - now())::float8 AS expires_in,
       extract(epoch FROM c.enqueued_at)::float8 AS enqueued,
       extract(epoch FROM now() - c.unknown_since)::float8 AS unknown_for,
       c.custom_id,
       c.root_id,
       c.parent_id,
       c.payload_id,
       c.feeds,
       c.position
FROM adopted c
LEFT JOIN djtasks_payload p ON p.id = c.payload_id
