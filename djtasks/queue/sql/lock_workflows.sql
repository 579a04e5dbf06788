-- Let those who revoke parts of the same workflows do it one after the other, in the order of the
-- workflows' numbers: two that revoke different steps of two chains would else wait for each other
-- behind both. Turns need not ask: what they wait for nobody holds who waits for them.
-- Plan: Index Scan using djtasks_message_pkey.
SELECT count(pg_advisory_xact_lock(%(lock_class)s, w.number))
FROM (
    SELECT DISTINCT hashtext(coalesce(m.root_id, m.id)::text) AS number
    FROM djtasks_message m
    WHERE m.id = ANY (%(ids)s::uuid[]) AND (m.feeds IS NOT NULL OR m.after IS NOT NULL)
    ORDER BY number
    OFFSET 0
) AS w
