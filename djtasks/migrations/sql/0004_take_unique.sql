-- Take the keys of unique messages that are about to be inserted in the same transaction. Returns
-- those that did not get theirs, with the holder, and those that got it from a queued holder
-- (`replaced`), which the caller ends.
-- items: place, id, key, mode (0 for a period only, 1 while queued, 2 until done), seconds (the
-- period), "replace" (a holder that nobody has begun gives way), own (an ended task that is put
-- back: its row is no rival). With `hold`, a holder that counts while it is queued is kept from
-- workers until the transaction ends: whatever that writes is there before the holder begins.
-- Who holds a key is decided by statements of their own, with the row locked: each sees what was
-- committed before it began, so that also the message of whoever had the lock before is seen. In
-- one INSERT … ON CONFLICT DO UPDATE … WHERE the row would be the newest, and the message not yet
-- there: the key would be taken from its holder.
-- In the order of the keys, so that two calls of many never wait for each other in a circle.
-- Nobody waits who finds a holder that is committed: its row is only read.
-- A period counts by the clock, for a transaction may be long. It ends with a task that was revoked.
-- Plan: Index Scans using the primary keys of the tables (loops); no Seq Scan.
CREATE FUNCTION djtasks_take_unique(items json, hold boolean)
RETURNS TABLE (
    taker uuid, holder uuid, holder_name text, replaced uuid, held_queue text, held_state smallint
)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    item record;
    held record;
    locked boolean;
    mine uuid[];
BEGIN
    -- Nearly all keys are nobody's.
    WITH put AS (
        INSERT INTO djtasks_unique (key, task_id, mode, until)
        SELECT f.key, f.id, f.mode, clock_timestamp() + make_interval(secs => f.seconds)
        FROM (
            SELECT DISTINCT ON (i.key COLLATE "C") i.key, i.id, i.mode, i.seconds
            FROM json_to_recordset(items) AS i
                (place int, id uuid, key text, mode smallint, seconds float8)
            ORDER BY i.key COLLATE "C", i.place
        ) AS f
        ORDER BY f.key COLLATE "C"
        ON CONFLICT (key) DO NOTHING
        RETURNING task_id
    )
    SELECT coalesce(array_agg(p.task_id), '{}') INTO mine FROM put p;

    FOR item IN
        SELECT i.*
        FROM json_to_recordset(items) AS i
            (place int, id uuid, key text, mode smallint, seconds float8,
             "replace" boolean, own uuid)
        WHERE i.id <> ALL (mine)
        ORDER BY i.key COLLATE "C", i.place
    LOOP
        taker := item.id;
        locked := false;
        LOOP
            holder := NULL;
            holder_name := NULL;
            replaced := NULL;
            held_queue := NULL;
            held_state := NULL;
            SELECT u.task_id, u.mode, m.id IS NOT NULL AS is_queued,
                   m.id IS NOT NULL AND m.worker_id IS NULL AS is_unbegun,
                   u.until > clock_timestamp()
                       AND (m.id IS NOT NULL OR r.state IS DISTINCT FROM 'REVOKED') AS by_time,
                   coalesce(m.custom_id, r.custom_id) AS name, m.queue, m.state
            INTO held
            FROM djtasks_unique u
            LEFT JOIN djtasks_message m ON m.id = ANY (ARRAY[u.task_id])
            LEFT JOIN djtasks_taskresult r ON r.id = ANY (ARRAY[u.task_id])
            WHERE u.key = item.key;

            IF NOT FOUND THEN
                INSERT INTO djtasks_unique (key, task_id, mode, until)
                VALUES (item.key, item.id, item.mode,
                        clock_timestamp() + make_interval(secs => item.seconds))
                ON CONFLICT (key) DO NOTHING;
                EXIT WHEN FOUND;
                -- Somebody else had it first, and has committed.
                CONTINUE;
            END IF;

            IF held.task_id = ANY (mine) THEN
                -- By this very call: its message comes later.
                holder := held.task_id;
                EXIT;
            END IF;

            IF (held.by_time IS TRUE
                OR held.is_queued AND held.mode = 2
                OR held.is_unbegun AND held.mode = 1)
               AND held.task_id IS DISTINCT FROM item.own
            THEN
                IF item."replace" IS TRUE AND held.is_unbegun THEN
                    IF locked THEN
                        PERFORM FROM djtasks_message m
                        WHERE m.id = held.task_id AND m.worker_id IS NULL
                        FOR UPDATE;
                        -- If it was claimed meanwhile, all is to be asked again.
                        CONTINUE WHEN NOT FOUND;
                        replaced := held.task_id;
                    END IF;
                ELSE
                    IF hold AND held.is_unbegun AND held.mode = 1 THEN
                        PERFORM FROM djtasks_message m
                        WHERE m.id = held.task_id AND m.worker_id IS NULL
                        FOR KEY SHARE;
                        CONTINUE WHEN NOT FOUND;
                        held_queue := held.queue;
                        held_state := held.state;
                    END IF;
                    holder := held.task_id;
                    holder_name := held.name;
                    EXIT;
                END IF;
            END IF;

            IF NOT locked THEN
                PERFORM FROM djtasks_unique u WHERE u.key = item.key FOR UPDATE;
                locked := FOUND;
                CONTINUE;
            END IF;
            UPDATE djtasks_unique u
            SET task_id = item.id, mode = item.mode, taken_at = clock_timestamp(),
                until = clock_timestamp() + make_interval(secs => item.seconds)
            WHERE u.key = item.key;
            EXIT;
        END LOOP;
        IF holder IS NULL THEN
            mine := mine || item.id;
        END IF;
        IF holder IS NOT NULL OR replaced IS NOT NULL THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$
