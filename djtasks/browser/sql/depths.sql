-- How many messages were ready at one moment of each span of a range, and how long the oldest of
-- them had waited.
-- Plan: HashAggregate over an Index Scan using djtasks_depth_pkey (span and time).
SELECT floor(extract(epoch FROM d.at))::bigint / %(span)s * %(span)s, sum(d.ready), max(d.latency)
FROM djtasks_depth d
WHERE d.span = %(span)s
  AND d.at >= to_timestamp(%(since)s)
  AND d.at < to_timestamp(%(until)s)
  AND (%(queue)s::text IS NULL OR d.queue = %(queue)s::text)
GROUP BY 1
