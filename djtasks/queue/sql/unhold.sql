-- Make messages ready that were held and whose task is not paused (any more), the first first. They
-- keep their place in the order. Returns their queues, and the last one's place.
-- Not joined with the paused tasks: a look whether there is a held one that needs it is all that
-- workers do when there is none.
-- Plan: Update, Tid Scan over LockRows > Limit > Index Scan using djtasks_message_held.
WITH freed AS (
    UPDATE djtasks_message
    SET state = CASE WHEN fair IS NULL THEN 0 ELSE 5 END
    WHERE ctid = ANY (ARRAY(
        SELECT m.ctid
        FROM djtasks_message m
        WHERE m.state = 4 AND m.task = %(task)s
          AND EXISTS (
              SELECT FROM djtasks_tasksetting t WHERE t.name = m.task AND t.paused_at IS NOT NULL
          ) IS NOT TRUE
        ORDER BY m.seq
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING queue
)
SELECT queue, count(*) FROM freed GROUP BY queue
