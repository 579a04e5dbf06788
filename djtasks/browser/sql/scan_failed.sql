-- Failures by their end in each group of task and exception, as scan_results.sql.
-- Plan: Append of two Nested Loops over the groups, Index Scans using djtasks_taskresult_failed.
SELECT (extract(epoch FROM s.date_done) * 1000000)::bigint, s.id, s.seen,
       s.matches AND (SELECT m.id FROM djtasks_message m WHERE m.id = s.id) IS NULL, g.place
FROM unnest(%(tasks)s::text[], %(exceptions)s::text[]) WITH ORDINALITY
    AS g (task, exception, place)
CROSS JOIN LATERAL (
    SELECT t.id, t.date_done, t.seen, t.matches
    FROM (
        SELECT r.id, r.date_done,
               row_number() OVER (ORDER BY r.date_done {order}, r.id {order}) AS seen,
               ({matches}) IS TRUE AS matches
        FROM djtasks_taskresult r
        WHERE r.state = 'FAILURE' AND r.task = g.task AND r.exception = g.exception
          AND r.date_done IS NOT NULL
          AND (%(at)s::timestamptz IS NULL
               OR r.date_done {before}= %(at)s::timestamptz
                  AND (r.date_done, r.id) {before} (%(at)s::timestamptz, %(id)s::uuid))
          AND (%(since)s::timestamptz IS NULL OR r.date_done >= %(since)s::timestamptz)
          AND (%(until)s::timestamptz IS NULL OR r.date_done < %(until)s::timestamptz)
        ORDER BY r.date_done {order}, r.id {order}
        LIMIT %(scan)s
    ) AS t
    WHERE t.matches OR t.seen = %(scan)s
    LIMIT %(limit)s
) AS s
UNION ALL
SELECT (extract(epoch FROM s.date_done) * 1000000)::bigint, s.id, s.seen,
       s.matches AND (SELECT m.id FROM djtasks_message m WHERE m.id = s.id) IS NULL, -g.place
FROM unnest(%(bare)s::text[]) WITH ORDINALITY AS g (task, place)
CROSS JOIN LATERAL (
    SELECT t.id, t.date_done, t.seen, t.matches
    FROM (
        SELECT r.id, r.date_done,
               row_number() OVER (
                   ORDER BY r.exception {order}, r.date_done {order}, r.id {order}) AS seen,
               ({matches}) IS TRUE AS matches
        FROM djtasks_taskresult r
        WHERE r.state = 'FAILURE' AND r.task = g.task AND r.exception IS NULL
          AND r.date_done IS NOT NULL
          AND (%(at)s::timestamptz IS NULL
               OR r.date_done {before}= %(at)s::timestamptz
                  AND (r.date_done, r.id) {before} (%(at)s::timestamptz, %(id)s::uuid))
          AND (%(since)s::timestamptz IS NULL OR r.date_done >= %(since)s::timestamptz)
          AND (%(until)s::timestamptz IS NULL OR r.date_done < %(until)s::timestamptz)
        -- All of it is null; that it is said keeps the planner from other indexes.
        ORDER BY r.exception {order}, r.date_done {order}, r.id {order}
        LIMIT %(scan)s
    ) AS t
    WHERE t.matches OR t.seen = %(scan)s
    LIMIT %(limit)s
) AS s
