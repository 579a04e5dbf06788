-- Messages under ids that look like ours and tell a time that cannot be: hardly any, as of random
-- ids one in a hundred.
-- Plan: Append > Index Scans using djtasks_message_pkey.
SELECT (extract(epoch FROM m.enqueued_at) * 1000000)::bigint, m.id, 0, ({matches}) IS TRUE
FROM (
    (SELECT * FROM djtasks_message WHERE id < %(low)s::uuid LIMIT %(scan)s)
    UNION ALL
    (SELECT * FROM djtasks_message
     WHERE id > %(high)s::uuid AND id < '02000000-0000-0000-0000-000000000000'
     LIMIT %(scan)s)
) AS m
LIMIT %(scan)s
