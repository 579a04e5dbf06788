-- Remove what waiters have left behind that vanished without a word.
DELETE FROM djtasks_waiter
WHERE NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = listener)
