-- Ask workers something, those that there are.
-- Plan: Insert, Index Scan using djtasks_worker_pkey.
INSERT INTO djtasks_question (worker_id, command, arguments, wants_answer)
SELECT w.id, %(command)s, %(arguments)s, %(wants_answer)s
FROM djtasks_worker w
WHERE w.id = ANY (%(workers)s::int[])
RETURNING id, worker_id
