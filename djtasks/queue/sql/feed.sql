-- Give the results of messages that succeed to their joins; tells the queues that were filled.
-- Sent before the statement that ends the messages, and only for those of workers that still are.
-- A function, made by the migration, whose plans the session keeps.
SELECT ready, later
FROM djtasks_feed(%(owners)s::text::int[], %(joins)s::text::uuid[], %(positions)s::text::int[],
                  %(results)s::text::text[])
