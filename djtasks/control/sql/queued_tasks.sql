-- What no worker holds, of one kind, the first first; or those among some ids.
-- Plan: Limit > Index Scan using djtasks_message_due, or djtasks_message_pkey.
SELECT m.id, m.custom_id, m.task, m.state, m.queue, m.rank, m.eta, m.deliveries,
       coalesce(m.payload, p.body), m.options
FROM djtasks_message m
LEFT JOIN djtasks_payload p ON p.id = m.payload_id
WHERE m.worker_id IS NULL
  AND (%(ids)s::uuid[] IS NULL AND m.state = 1 OR m.id = ANY (%(ids)s::uuid[]))
ORDER BY m.eta, m.id
LIMIT %(limit)s
