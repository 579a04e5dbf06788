-- Tasks of one workflow that match: messages, results, and the root itself.
-- Plan: Index Scans using djtasks_message_root, djtasks_taskresult_root and both primary keys.
(SELECT (extract(epoch FROM m.enqueued_at) * 1000000)::bigint, m.id, 1, ({message_matches}) IS TRUE
 FROM (SELECT * FROM djtasks_message WHERE root_id = %(root)s::uuid
       UNION ALL
       SELECT * FROM djtasks_message WHERE id = %(root)s::uuid AND root_id IS NULL
       LIMIT %(scan)s) AS m)
UNION ALL
(SELECT (extract(epoch FROM r.date_done) * 1000000)::bigint, r.id, 0, ({result_matches}) IS TRUE
 FROM (SELECT * FROM djtasks_taskresult WHERE root_id = %(root)s::uuid
       UNION ALL
       SELECT * FROM djtasks_taskresult WHERE id = %(root)s::uuid AND root_id IS NULL
       LIMIT %(scan)s) AS r
 WHERE r.date_done IS NOT NULL)
