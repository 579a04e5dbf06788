-- The end of finish.sql where something waits: give the results of those that succeeded to their
-- joins; tells how many were still their owners' to end, and the queues that were filled. What is
-- not stored is given as a value.
-- The deletes are done when the function is called, for it is given what they return: so messages
-- are locked before joins. A function, made by the migration, whose plans the session keeps.
SELECT e.number, f.ready, f.later
FROM (
    SELECT count(*) AS number,
           array_agg(s.feeds) FILTER (WHERE s.succeeded) AS joins,
           array_agg(s.position) FILTER (WHERE s.succeeded) AS positions,
           array_agg(coalesce(s.value::text, s.result::text, 'null'))
               FILTER (WHERE s.succeeded) AS results
    FROM (
        SELECT *, feeds IS NOT NULL AND (fed OR state = 'SUCCESS') AS succeeded FROM ended
    ) s
) e
CROSS JOIN LATERAL djtasks_feed(e.joins, e.positions, e.results) f
