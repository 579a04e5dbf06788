-- Forget queues that nobody has seen for longer than charts go back, unless they are paused.
-- Plan: Seq Scan on djtasks_queue (a row for each queue).
DELETE FROM djtasks_queue WHERE paused_at IS NULL AND seen_at < now() - interval '8 days'
