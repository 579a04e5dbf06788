-- Results of one bad state by their end, from a place on: those that match among the first `scan` rows. The last row
-- that was looked at is told too (seen = scan), so that a search can go on behind it.
-- Plan: Limit > Subquery Scan > Limit > WindowAgg > Incremental Sort > Index Scan using
-- djtasks_taskresult_bad; it ends with the last row that is wanted.
SELECT (extract(epoch FROM s.date_done) * 1000000)::bigint, s.id, s.seen,
       s.matches AND (SELECT m.id FROM djtasks_message m WHERE m.id = s.id) IS NULL
FROM (
    SELECT r.id, r.date_done,
           row_number() OVER (ORDER BY r.date_done {order}, r.id {order}) AS seen,
           ({matches}) IS TRUE AS matches
    FROM djtasks_taskresult r
    WHERE r.state = %(state)s AND r.date_done IS NOT NULL
      AND (%(at)s::timestamptz IS NULL
           OR r.date_done {before}= %(at)s::timestamptz
              AND (r.date_done, r.id) {before} (%(at)s::timestamptz, %(id)s::uuid))
      AND (%(since)s::timestamptz IS NULL OR r.date_done >= %(since)s::timestamptz)
      AND (%(until)s::timestamptz IS NULL OR r.date_done < %(until)s::timestamptz)
    ORDER BY r.date_done {order}, r.id {order}
    LIMIT %(scan)s
) AS s
WHERE s.matches OR s.seen = %(scan)s
ORDER BY s.date_done {order}, s.id {order}
LIMIT %(limit)s
