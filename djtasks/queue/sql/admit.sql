-- Let claimed messages through what limits them; see the function, made by the migration.
SELECT admitted, given, ready, opens_in
FROM djtasks_admit(
    %(worker)s, %(ids)s::uuid[], %(lanes)s::text[], %(sizes)s::int[], %(rates)s::text[],
    %(intervals)s::float8[], %(bursts)s::float8[],
    %(freed)s::text[], %(freed_sizes)s::int[], %(patient)s, %(room)s, %(queues)s::text[]
)
