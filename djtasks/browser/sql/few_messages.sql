-- Messages of one kind, if there are few; `matches` is told of each.
-- Plan: Limit > Index Scan using djtasks_message_ready, _line, _due, _after or _held, which have no other
-- kinds, or djtasks_message_gate, which has hardly any.
SELECT (extract(epoch FROM m.enqueued_at) * 1000000)::bigint, m.id, 0,
       ({matches}) IS TRUE
FROM djtasks_message m
WHERE m.state = %(state)s AND (%(state)s <> 0 OR %(queue)s::text IS NULL OR m.queue = %(queue)s::text)
  AND (%(state)s <> 3 OR m.gate IS NOT NULL)
LIMIT %(few)s
