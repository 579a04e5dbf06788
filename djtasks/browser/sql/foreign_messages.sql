-- Messages under ids that were not made here, by the time when they were enqueued, as
-- scan_results.sql.
-- Plan: Incremental Sort > Index Scan using djtasks_message_foreign.
SELECT (extract(epoch FROM s.enqueued_at) * 1000000)::bigint, s.id, s.seen, s.matches
FROM (
    SELECT m.id, m.enqueued_at,
           row_number() OVER (ORDER BY m.enqueued_at {order}, m.id {order}) AS seen,
           ({matches}) IS TRUE AS matches
    FROM djtasks_message m
    WHERE m.id >= '02000000-0000-0000-0000-000000000000'
      AND (%(at)s::timestamptz IS NULL
           OR m.enqueued_at {before}= %(at)s::timestamptz
              AND (m.enqueued_at, m.id) {before} (%(at)s::timestamptz, %(id)s::uuid))
      AND (%(since)s::timestamptz IS NULL OR m.enqueued_at >= %(since)s::timestamptz)
      AND (%(until)s::timestamptz IS NULL OR m.enqueued_at < %(until)s::timestamptz)
    ORDER BY m.enqueued_at {order}, m.id {order}
    LIMIT %(scan)s
) AS s
WHERE s.matches OR s.seen = %(scan)s
ORDER BY s.enqueued_at {order}, s.id {order}
LIMIT %(limit)s
