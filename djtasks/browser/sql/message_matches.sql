-- Whether a message m matches; a condition that is not set folds away when the plan is made.
    (%(states)s::text[] IS NULL
     OR CASE WHEN m.worker_id IS NOT NULL THEN 'RUNNING'
             WHEN m.state = 2 THEN 'WAITING'
             WHEN m.state = 3 THEN 'BLOCKED'
             WHEN m.state = 1 AND m.retries > 0 THEN 'RETRY'
             WHEN m.state = 1 THEN 'SCHEDULED'
             ELSE 'READY'
        END = ANY (%(states)s::text[]))
    AND (%(queue)s::text IS NULL OR m.queue = %(queue)s::text)
    AND (%(task)s::text IS NULL OR m.task = %(task)s::text OR m.task LIKE %(task_end)s::text)
    AND (%(lane)s::text IS NULL OR m.lane = %(lane)s::text
         OR m.state = 3 AND m.gate = %(lane)s::text)
    AND (%(texts)s::text[] IS NULL OR lower(m.task) LIKE ALL (%(texts)s::text[]))
    AND (%(worker)s::text IS NULL
         OR m.worker_id = ANY (ARRAY(SELECT w.id FROM djtasks_worker w
                                     WHERE strpos(lower(w.hostname), %(worker)s::text) > 0)))
    AND (%(schedule)s::text IS NULL OR strpos(m.options, %(schedule)s::text) > 0)
    AND (%(retried)s::bool IS NULL OR (m.retries > 0 OR m.deliveries > 0) = %(retried)s::bool)
    AND (%(since)s::timestamptz IS NULL OR m.enqueued_at >= %(since)s::timestamptz)
    AND (%(until)s::timestamptz IS NULL OR m.enqueued_at < %(until)s::timestamptz)
    AND (%(exception)s::text IS NULL AND %(error)s::text IS NULL
         -- Of one value, for EXISTS would read all results into a hash.
         OR m.retries > 0 AND (
             SELECT (%(exception)s::text IS NULL OR r.exception = %(exception)s::text
                     OR r.exception LIKE %(exception_end)s::text)
                AND (%(error)s::text IS NULL OR strpos(lower(r.exception), %(error)s::text) > 0
                     OR strpos(lower(left(r.result, 10000)), %(error)s::text) > 0)
             FROM djtasks_taskresult r
             WHERE r.id = m.id))
    -- What is hidden must not be found either: a search would tell it. Few texts have all parts of
    -- what is looked for, so that the dear regular expressions are asked of few.
    AND (%(patterns)s::text[] IS NULL
         OR strpos(coalesce(m.options, ''), 'argsrepr') = 0
            AND (SELECT t.body LIKE ALL (%(needles)s::text[])
                        AND t.body ~ ALL (%(patterns)s::text[])
                 FROM (SELECT coalesce(m.payload,
                                       (SELECT p.body FROM djtasks_payload p
                                        WHERE p.id = m.payload_id)) OFFSET 0) AS t (body)))
