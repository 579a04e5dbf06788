-- Add the joins of a plan, in the transaction that adds the messages which feed them.
-- Plan: Insert on djtasks_join, Function Scan on json_to_recordset.
INSERT INTO djtasks_join (id, root_id, size, missing, is_group, after)
SELECT id, root_id, size, size, is_group, after
FROM json_to_recordset(%s::json) AS j (id uuid, root_id uuid, size int, is_group boolean, after uuid)
