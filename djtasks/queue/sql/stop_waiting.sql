-- Take back what this connection waits for.
DELETE FROM djtasks_waiter WHERE listener = pg_backend_pid()
