-- Renew a worker's lease with the database's clock. No row: others have given this worker up.
UPDATE djtasks_worker SET heartbeat = now() WHERE id = %(worker)s RETURNING id
