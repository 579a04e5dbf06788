-- Lock the joins whose results are counted, in the order of their ids, as lock_joins.sql does:
-- for turns in which nothing failed, and nothing further is reached.
-- Plan: LockRows over Sort over Index Scan using djtasks_join_pkey.
SELECT 1 FROM djtasks_join j WHERE j.id = ANY (%(counted)s::text::uuid[]) ORDER BY j.id FOR UPDATE
