-- Let no claim take from a queue. No row: it is paused already.
INSERT INTO djtasks_queue AS q (name, paused_at, reason) VALUES (%(queue)s, now(), %(reason)s)
ON CONFLICT (name) DO UPDATE SET paused_at = now(), reason = excluded.reason
WHERE q.paused_at IS NULL
RETURNING name
