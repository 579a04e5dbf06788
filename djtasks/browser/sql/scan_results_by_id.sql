-- Results whose ids are in a range, as scan_results.sql.
-- Plan: Index Scan using djtasks_taskresult_pkey.
SELECT 0, s.id, s.seen, s.matches
FROM (
    SELECT r.id, row_number() OVER (ORDER BY r.id {order}) AS seen, ({matches}) IS TRUE AS matches
    FROM djtasks_taskresult r
    WHERE r.id BETWEEN %(low)s::uuid AND %(high)s::uuid
      AND (%(id)s::uuid IS NULL OR r.id {before} %(id)s::uuid)
    ORDER BY r.id {order}
    LIMIT %(scan)s
) AS s
WHERE s.matches OR s.seen = %(scan)s
ORDER BY s.id {order}
LIMIT %(limit)s
