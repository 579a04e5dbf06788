-- The tasks of a workflow that have not ended.
-- Plan: BitmapOr of djtasks_message_root and djtasks_message_pkey.
SELECT id FROM djtasks_message WHERE root_id = %(root)s OR id = %(root)s ORDER BY id
