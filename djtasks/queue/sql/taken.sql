-- What a worker is given of the messages that it took: the end of every statement that takes some,
-- in the columns and the order of Delivery.
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
FROM taken c
LEFT JOIN djtasks_payload p ON p.id = c.payload_id
