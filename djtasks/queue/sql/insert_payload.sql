-- Store arguments too large to travel with their message, under the message's id. Written once,
-- then only pointed at; one that is there belongs to an earlier task of the same id.
INSERT INTO djtasks_payload (id, body) VALUES (%s, %s)
ON CONFLICT (id) DO UPDATE SET body = excluded.body
