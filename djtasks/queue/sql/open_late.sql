-- Have rates looked at that block somebody and say nothing of when the next may go, or that are not
-- what they were (null where that is not known here). One that is not there, for somebody deleted
-- it, lets one a second go until it is known.
-- Plan: Insert on djtasks_rate, Conflict Arbiter djtasks_rate_pkey.
INSERT INTO djtasks_rate AS r (name, interval, burst, used_until, opens_at)
SELECT n.name, coalesce(n.interval, k.interval, 1), coalesce(n.burst, k.burst, 1), now(), now()
FROM unnest(%(names)s::text[], %(intervals)s::float8[], %(bursts)s::float8[])
    AS n (name, interval, burst)
LEFT JOIN djtasks_rate k ON k.name = n.name
ORDER BY n.name
ON CONFLICT (name) DO UPDATE
SET interval = excluded.interval, burst = excluded.burst, opens_at = now()
WHERE r.opens_at IS NULL
   OR (r.interval, r.burst) <> (excluded.interval, excluded.burst)
