-- Messages of a lane, or of a rate, that are blocked or have a place: those that an index knows.
-- Plan: Append of Limit > Index Scan using djtasks_message_gate, and a Nested Loop of Index Scans
-- using djtasks_place_pkey and djtasks_message_pkey.
SELECT (extract(epoch FROM m.enqueued_at) * 1000000)::bigint, m.id, 0, ({matches}) IS TRUE
FROM (
    (SELECT * FROM djtasks_message WHERE gate = %(lane)s::text AND state = 3 LIMIT %(scan)s)
    UNION ALL
    (SELECT h.*
     FROM djtasks_place p
     CROSS JOIN LATERAL (
         SELECT * FROM djtasks_message x
         WHERE x.id = p.message_id AND (x.gate = %(lane)s::text AND x.state = 3) IS NOT TRUE
         OFFSET 0
     ) h
     WHERE p.lane = %(lane)s::text
     LIMIT %(scan)s)
) AS m
