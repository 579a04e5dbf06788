-- Messages whose ids are in a range: those that match among the first `scan` rows. The last row
-- that was looked at is told too (seen = scan), so that a search can go on behind it.
-- Plan: Limit > Subquery Scan > Limit > WindowAgg > Index Scan using djtasks_message_pkey.
SELECT (extract(epoch FROM s.enqueued_at) * 1000000)::bigint, s.id, s.seen, s.matches
FROM (
    SELECT m.id, m.enqueued_at, row_number() OVER (ORDER BY m.id {order}) AS seen,
           ({matches}) IS TRUE AS matches
    FROM djtasks_message m
    WHERE m.id BETWEEN %(low)s::uuid AND %(high)s::uuid
      AND (%(id)s::uuid IS NULL OR m.id {before} %(id)s::uuid)
    ORDER BY m.id {order}
    LIMIT %(scan)s
) AS s
WHERE s.matches OR s.seen = %(scan)s
ORDER BY s.id {order}
LIMIT %(limit)s
