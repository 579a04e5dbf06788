-- What waits for messages that are not there any more, for somebody deleted them by hand: joins
-- that miss more results than messages are left to feed them.
-- Plan: Seq Scans on djtasks_message and djtasks_join; once an hour.
SELECT w.id::text, j.id IS NOT NULL
FROM (SELECT DISTINCT after AS id FROM djtasks_message WHERE state = 2) AS w
LEFT JOIN djtasks_join j ON j.id = w.id
LEFT JOIN (
    SELECT feeds, count(*) AS number FROM djtasks_message WHERE feeds IS NOT NULL GROUP BY feeds
) AS f ON f.feeds = w.id
WHERE coalesce(f.number, 0) < coalesce(j.missing, 1)
