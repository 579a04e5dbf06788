-- Hold the next ready messages of a task in a queue, behind a place in its order.
-- Plan: Update, Tid Scan over LockRows > Limit > Index Scan using djtasks_message_ready, filtered by task:
-- one pass over what is ready in the queue, in parts.
WITH held AS (
    UPDATE djtasks_message
    SET state = 4
    WHERE ctid = ANY (ARRAY(
        SELECT m.ctid
        FROM djtasks_message m
        WHERE m.state = 0 AND m.queue = %(queue)s AND (m.rank, m.seq) > (%(rank)s, %(seq)s)
          AND m.task = %(task)s AND m.worker_id IS NULL
          AND EXISTS (
              SELECT FROM djtasks_tasksetting t WHERE t.name = m.task AND t.paused_at IS NOT NULL
          ) IS TRUE
        ORDER BY m.rank, m.seq
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING rank, seq
)
SELECT rank, seq FROM held ORDER BY rank DESC, seq DESC LIMIT 1
