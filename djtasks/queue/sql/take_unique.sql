-- Take the keys of unique messages that are inserted next; the rows are those that others have.
-- A function, made by the migration: each of its statements sees what was committed before it.
-- Plan: Function Scan on djtasks_take_unique.
SELECT taker, holder, holder_name, replaced, held_queue, held_state
FROM djtasks_take_unique(%(items)s::json, %(hold)s)
