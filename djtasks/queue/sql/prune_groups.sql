-- Delete saved groups that have expired.
-- Plan: Limit > Index Scan using djtasks_savedgroup_saved_at...
WITH old AS (
    SELECT id
    FROM djtasks_savedgroup
    WHERE saved_at < now() - make_interval(secs => %(age)s)
    ORDER BY saved_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM djtasks_savedgroup g USING old WHERE g.id = old.id
