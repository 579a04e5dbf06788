-- Let a join wait for one result more, and return that result's position. No row: it has failed.
-- The task that asks feeds the join itself, so it cannot be complete.
-- Plan: Update on djtasks_join, Index Scan using djtasks_join_pkey.
UPDATE djtasks_join SET size = size + 1, missing = missing + 1
WHERE id = %(join)s
RETURNING size - 1
