-- The messages that an admission has claimed for the worker.
-- Plan: Index Scan using djtasks_message_pkey.
-- Followed by taken.sql.
WITH taken AS (
    SELECT *
    FROM djtasks_message
    WHERE id = ANY (%(ids)s::uuid[]) AND worker_id = %(worker)s
)
