-- Those of these messages that are still their owners', locked until the transaction ends: what
-- their end means to others is written once, whoever else may be ending or rescuing them. One
-- whose end was committed and not heard of is gone, and is not fed again.
CREATE FUNCTION djtasks_owned(causes uuid[], owners int[]) RETURNS uuid[]
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    IF owners[1] = ALL (owners) THEN
        RETURN ARRAY(
            SELECT m.id FROM djtasks_message m
            WHERE m.id = ANY (causes) AND m.worker_id = owners[1]
            FOR UPDATE
        );
    END IF;
    -- A worker that had to take a new id still holds messages under its old one.
    RETURN ARRAY(
        SELECT m.id
        FROM unnest(causes, owners) AS o (cause, owner)
        CROSS JOIN LATERAL (
            SELECT x.id FROM djtasks_message x
            WHERE x.id = ANY (ARRAY[o.cause]) AND x.worker_id = o.owner
            FOR UPDATE
        ) m
    );
END
$$
