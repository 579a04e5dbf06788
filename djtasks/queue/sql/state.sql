-- What is known of tasks: their messages and their results.
-- Plan: Nested Loop over the ids, Index Scan using both primary keys.
SELECT i.id,
       m.id IS NOT NULL AS queued,
       r.id IS NOT NULL AS stored,
       m.worker_id IS NOT NULL AS running,
       r.state,
       r.result,
       r.traceback,
       r.date_done,
       coalesce(m.task, r.task) AS task,
       coalesce(m.payload, r.payload, p.body) AS payload,
       coalesce(m.options, r.options) AS options,
       CASE WHEN m.worker_id IS NULL THEN r.worker
            ELSE coalesce(w.hostname, r.worker) END AS worker,
       w.pid AS worker_pid,
       coalesce(m.retries, r.retries) AS retries,
       coalesce(m.queue, r.queue) AS queue,
       r.children,
       coalesce(m.root_id, r.root_id) AS root_id,
       coalesce(m.parent_id, r.parent_id) AS parent_id,
       coalesce(m.custom_id, r.custom_id) AS custom_id,
       m.started_at IS NOT NULL AND r.updated_at > m.started_at AS updated_since_start,
       r.feeds IS NOT NULL AND r.position IS NULL AS is_followed,
       coalesce(m.abort = 'ABORTED', false) AS is_aborted
FROM unnest(%s::uuid[]) AS i (id)
LEFT JOIN djtasks_message m ON m.id = i.id
LEFT JOIN djtasks_taskresult r ON r.id = i.id
LEFT JOIN djtasks_payload p ON p.id = coalesce(m.payload_id, r.payload_id)
LEFT JOIN djtasks_worker w ON w.id = m.worker_id
