-- The end of finish.sql where something waits: give the results of those that succeeded to their
-- joins, if they were still their owners' to end; tells how many were, and the queues filled.
-- The deletes are done when the function is called, for it is given all their ids: so the messages
-- are locked before the joins. A function, made by the migration, whose plans the session keeps.
SELECT e.number, f.ready, f.later
FROM (SELECT count(*) AS number, coalesce(array_agg(id), '{}') AS ids FROM ended) e
CROSS JOIN LATERAL djtasks_feed(
    e.ids, e.number = %(expected)s, %(causes)s::text::uuid[], %(joins)s::text::uuid[],
    %(positions)s::text::int[], %(results)s::text::text[]
) f
