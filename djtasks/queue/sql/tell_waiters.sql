-- Tell those who wait for these tasks that they have ended, after the end was committed.
-- A waiter leaves its row before it looks: either it sees the end, or this sees its row.
-- Plan: Index Scan using djtasks_waiter_task_id..., or Seq Scan on a nearly empty table.
SELECT pg_notify('djtasks_done_' || w.listener, w.task_id::text)
FROM djtasks_waiter w
WHERE w.task_id = ANY (%(ids)s::text::uuid[])
