-- How many messages of each queue are claimed, of those that workers name.
-- Plan: Index Scan using djtasks_message_pkey.
SELECT m.queue, count(*)
FROM djtasks_message m
WHERE m.id = ANY (%(ids)s::uuid[]) AND m.worker_id IS NOT NULL
GROUP BY m.queue
