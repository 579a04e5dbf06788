-- Have rates looked at that block somebody and say nothing of when the next may go. One that is not
-- there, for somebody deleted it, lets one a second go until it is known again.
-- Plan: Insert on djtasks_rate, Conflict Arbiter djtasks_rate_pkey.
INSERT INTO djtasks_rate AS r (name, interval, burst, used_until, opens_at)
SELECT n, 1, 1, now(), now() FROM unnest(%(names)s::text[]) AS n ORDER BY n
ON CONFLICT (name) DO UPDATE SET opens_at = now() WHERE r.opens_at IS NULL
