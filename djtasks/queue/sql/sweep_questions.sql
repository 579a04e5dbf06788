-- Delete questions to workers that are gone, and those that are an hour old.
-- Plan: Seq Scan on djtasks_question, which is empty most of the time.
DELETE FROM djtasks_question q
WHERE q.asked_at < now() - interval '1 hour'
   OR NOT EXISTS (SELECT FROM djtasks_worker w WHERE w.id = q.worker_id)
