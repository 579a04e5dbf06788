-- Those of these workers that still exist. Until the transaction ends nobody can give them up:
-- a rescue takes their rows FOR UPDATE, and passes over those that are locked. So what a message's
-- owner writes in this transaction, nobody else can write meanwhile. Owners below zero are no
-- workers; they hold locks on their messages themselves.
CREATE FUNCTION djtasks_alive(owners int[]) RETURNS int[]
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    RETURN ARRAY(
        SELECT w.id FROM djtasks_worker w WHERE w.id = ANY (owners) ORDER BY w.id FOR KEY SHARE
    ) || ARRAY(SELECT DISTINCT o FROM unnest(owners) AS o WHERE o < 0);
END
$$
