-- What workers have been told to do, locked until that is written again. Not FOR UPDATE, for which
-- a turn that ends messages would have to wait.
SELECT id, orders FROM djtasks_worker WHERE id = ANY (%(ids)s::int[]) ORDER BY id FOR NO KEY UPDATE
