-- The joins that these messages wait for, and those that they feed, as texts of arrays.
SELECT coalesce(array_agg(m.after) FILTER (WHERE m.after IS NOT NULL), '{}')::text,
       coalesce(array_agg(m.feeds) FILTER (WHERE m.feeds IS NOT NULL), '{}')::text
FROM djtasks_message m
WHERE m.id = ANY (%(ids)s::uuid[])
