-- Say that a worker runs another number of tasks at once, or serves other queues: callers wake by it.
UPDATE djtasks_worker
SET concurrency = %(concurrency)s, queues = %(queues)s, excluded_queues = %(excluded)s
WHERE id = %(worker)s
