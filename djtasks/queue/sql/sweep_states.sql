-- Remove states that were stored for tasks which never ended and are not queued any more.
-- Plan: Index Scan using djtasks_taskresult_done (date_done IS NULL); once an hour.
DELETE FROM djtasks_taskresult r
WHERE r.date_done IS NULL
  AND r.updated_at < now() - make_interval(secs => %(age)s)
  AND NOT EXISTS (SELECT FROM djtasks_message m WHERE m.id = r.id)
