-- The options of calls, of which a new call takes some.
SELECT id, options FROM djtasks_taskresult WHERE id = ANY (%(ids)s::uuid[]) ORDER BY id
