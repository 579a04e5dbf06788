-- Let no claim take messages of a task. No row: it is paused already.
INSERT INTO djtasks_tasksetting AS t (name, paused_at, reason) VALUES (%(task)s, now(), %(reason)s)
ON CONFLICT (name) DO UPDATE
SET paused_at = now(), reason = excluded.reason, changed_at = now()
WHERE t.paused_at IS NULL
RETURNING name
