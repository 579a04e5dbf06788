-- What a worker is asked and has not answered, in order.
-- Plan: Index Scan using djtasks_question_open.
SELECT id, command, arguments, wants_answer
FROM djtasks_question
WHERE worker_id = %(worker)s AND answer IS NULL
ORDER BY id
LIMIT 100
