-- Give the results of messages that succeed to their joins; tells the queues that were filled.
-- Sent before the statement that ends the messages, and only for those still their owners' own.
-- A function, made by the migration, whose plans the session keeps.
SELECT ready, later
FROM djtasks_feed(%(causes)s::text::uuid[], %(owners)s::text::int[], %(joins)s::text::uuid[],
                  %(positions)s::text::int[], %(results)s::text::text[])
