-- Have rates looked at that block somebody and say nothing of when the next may go.
-- Plan: Index Scan using djtasks_rate_pkey.
UPDATE djtasks_rate SET opens_at = now() WHERE name = ANY (%(names)s) AND opens_at IS NULL
