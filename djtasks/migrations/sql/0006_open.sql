-- Let the messages go on whose rate allows it by now: ready again, to be claimed and counted.
-- In a transaction of its own. Rates are locked by nobody for longer than an admission.
-- Plan: Index Scan using djtasks_rate_opens, Index Scan using djtasks_message_gate (a loop).
CREATE FUNCTION djtasks_open(OUT ready text[], OUT opens_in float8)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    moment timestamptz;
BEGIN
    IF EXISTS (SELECT FROM djtasks_rate r WHERE r.opens_at <= clock_timestamp()) THEN
        PERFORM 1 FROM djtasks_rate r WHERE r.opens_at <= clock_timestamp()
        ORDER BY r.name FOR UPDATE;
        moment := clock_timestamp();

        WITH due AS MATERIALIZED (
            SELECT r.name, r.interval, r.burst, u.used_until,
                   greatest(1, floor(
                       r.burst + 1e-6 - extract(epoch FROM u.used_until - moment) / r.interval
                   ))::bigint AS free
            FROM djtasks_rate r
            CROSS JOIN LATERAL (
                -- No later than this rate could have come to: it may have been slower before.
                SELECT greatest(moment, least(
                    r.used_until, moment + make_interval(secs => r.burst * r.interval)
                )) AS used_until
            ) u
            WHERE r.opens_at <= moment
        ), chosen AS MATERIALIZED (
            SELECT d.name, b.id
            FROM due d
            CROSS JOIN LATERAL (
                SELECT x.id
                FROM djtasks_message x
                WHERE x.gate = d.name AND x.state = 3
                ORDER BY x.rank, x.seq
                LIMIT d.free + 1
                FOR UPDATE SKIP LOCKED
            ) b
        ), numbered AS MATERIALIZED (
            SELECT c.name, c.id, row_number() OVER (PARTITION BY c.name) AS number FROM chosen c
        ), let AS (
            UPDATE djtasks_message m
            SET state = 0
            FROM numbered n
            JOIN due d ON d.name = n.name
            WHERE n.number <= d.free AND m.id = ANY (ARRAY[n.id])
            RETURNING m.queue
        ), again AS (
            -- When the next may go, if there is one: it is let through then, not before.
            UPDATE djtasks_rate r
            SET opens_at = (
                SELECT d.used_until + make_interval(secs => (d.free - d.burst + 1) * d.interval)
                FROM due d
                WHERE d.name = r.name
                  AND EXISTS (
                      SELECT FROM numbered n WHERE n.name = r.name AND n.number > d.free
                  )
            )
            WHERE r.name IN (SELECT d.name FROM due d)
        )
        SELECT array_agg(DISTINCT l.queue) INTO ready FROM let l;
    END IF;
    SELECT extract(epoch FROM min(r.opens_at) - clock_timestamp())::float8
    INTO opens_in
    FROM djtasks_rate r
    WHERE r.opens_at IS NOT NULL;
END
$$
