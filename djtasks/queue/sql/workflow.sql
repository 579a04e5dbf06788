-- Every task of one workflow, queued or ended, in the order in which they were planned.
-- Plan: Append over Index Scans using djtasks_message_root, djtasks_taskresult_root and the primary
-- keys of both (for the root itself, if it is a call of its own).
SELECT m.id, m.custom_id, m.task, m.queue, m.rank, m.root_id, m.parent_id,
       m.after, m.feeds, m.position, m.retries, m.enqueued_at, m.started_at,
       NULL::timestamptz AS date_done, NULL::float8 AS runtime, NULL AS exception,
       w.hostname AS worker,
       CASE WHEN m.state = 2 THEN 'WAITING'
            WHEN m.state = 1 THEN 'SCHEDULED'
            WHEN m.state = 3 THEN 'BLOCKED'
            WHEN m.worker_id IS NOT NULL THEN 'STARTED'
            ELSE 'PENDING'
       END AS state
FROM djtasks_message m
LEFT JOIN djtasks_worker w ON w.id = m.worker_id
WHERE m.root_id = %(root)s OR m.id = %(root)s
UNION ALL
SELECT r.id, r.custom_id, r.task, r.queue, r.rank, r.root_id, r.parent_id,
       r.after, r.feeds, r.position, r.retries, r.enqueued_at, r.started_at,
       r.date_done, r.runtime, r.exception, r.worker, r.state
FROM djtasks_taskresult r
WHERE (r.root_id = %(root)s OR r.id = %(root)s)
  AND NOT EXISTS (SELECT FROM djtasks_message m WHERE m.id = r.id)
ORDER BY id
