-- The next messages of a queue that stand in lines, behind a place in their order, which were there
-- when purging began.
-- Plan: Limit > Index Scan using djtasks_message_line.
SELECT fair, rank, seq, id, feeds IS NOT NULL
FROM djtasks_message
WHERE state = 5 AND queue = %(queue)s
  AND (fair, rank, seq) > (%(fair)s, %(rank)s, %(seq)s)
  AND enqueued_at <= %(began)s
ORDER BY fair, rank, seq
LIMIT %(limit)s
