-- Add the joins of what an ended task asked for, in the transaction that ends it.
-- Only for causes that are still this worker's own, as insert_linked.sql.
INSERT INTO djtasks_join (id, root_id, size, missing, is_group, after)
SELECT j.id, j.root_id, j.size, j.size, j.is_group, j.after
FROM json_to_recordset(%(joins)s::json) AS j
    (id uuid, root_id uuid, size int, is_group boolean, after uuid, cause uuid, owner int)
WHERE EXISTS (
    SELECT FROM djtasks_message m
    WHERE m.id = ANY (ARRAY[j.cause]) AND m.worker_id = j.owner
)
