-- Remove joins that nobody waits for and nobody feeds, and inputs of joins that are gone.
-- Plan: Seq Scans on djtasks_message, djtasks_join and djtasks_input; once an hour.
WITH dropped AS (
    DELETE FROM djtasks_join
    -- Two workers may sweep at once, each in its own order.
    WHERE id = ANY (ARRAY(
        SELECT j.id
        FROM djtasks_join j
        WHERE NOT EXISTS (SELECT FROM djtasks_message m WHERE m.after = j.id AND m.state = 2)
          AND NOT EXISTS (SELECT FROM djtasks_message m WHERE m.feeds = j.id)
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
)
DELETE FROM djtasks_input i
WHERE i.join_id IN (SELECT id FROM dropped)
   OR NOT EXISTS (SELECT FROM djtasks_join j WHERE j.id = i.join_id)
