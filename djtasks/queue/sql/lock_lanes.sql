-- Lock lanes in which messages have places that are gone, some at a time, as an admission locks
-- them: only under the lock is it certain that nobody of that id comes back and takes its place.
-- Plan: Limit > Nested Loop Anti Join, Index Only Scan using djtasks_place_pkey, djtasks_message_pkey.
SELECT array_agg(l.lane), count(pg_advisory_xact_lock(1684698220, l.key))
FROM (
    SELECT g.lane, hashtext(g.lane) AS key
    FROM (
        SELECT DISTINCT p.lane
        FROM djtasks_place p
        WHERE NOT EXISTS (
            SELECT FROM djtasks_message m WHERE m.id = ANY (ARRAY[p.message_id])
        )
        LIMIT %(limit)s
    ) AS g
    ORDER BY key
) AS l
