-- Whether a result r matches; a condition that is not set folds away when the plan is made.
    (%(states)s::text[] IS NULL OR r.state = ANY (%(states)s::text[]))
    AND (%(queue)s::text IS NULL OR r.queue = %(queue)s::text)
    AND (%(task)s::text IS NULL OR r.task = %(task)s::text OR r.task LIKE %(task_end)s::text)
    AND (%(texts)s::text[] IS NULL OR lower(r.task) LIKE ALL (%(texts)s::text[]))
    AND (%(worker)s::text IS NULL OR strpos(lower(r.worker), %(worker)s::text) > 0)
    AND (%(schedule)s::text IS NULL OR strpos(r.options, %(schedule)s::text) > 0)
    AND (%(retried)s::bool IS NULL OR (r.retries > 0 OR r.deliveries > 0) = %(retried)s::bool)
    AND (%(since)s::timestamptz IS NULL OR r.date_done >= %(since)s::timestamptz)
    AND (%(until)s::timestamptz IS NULL OR r.date_done < %(until)s::timestamptz)
    AND (%(exception)s::text IS NULL
         OR coalesce(r.exception, '') = %(exception)s::text
         OR r.exception LIKE %(exception_end)s::text)
    AND (%(error)s::text IS NULL
         OR strpos(lower(r.exception), %(error)s::text) > 0
         OR r.state <> 'SUCCESS'
            AND strpos(lower(left(r.result, 10000)), %(error)s::text) > 0)
    -- What is hidden must not be found either: a search would tell it. Few texts have all parts of
    -- what is looked for, so that the dear regular expressions are asked of few.
    AND (%(patterns)s::text[] IS NULL
         OR strpos(coalesce(r.options, ''), 'argsrepr') = 0
            AND (SELECT t.body LIKE ALL (%(needles)s::text[])
                        AND t.body ~ ALL (%(patterns)s::text[])
                 FROM (SELECT coalesce(r.payload,
                                       (SELECT p.body FROM djtasks_payload p
                                        WHERE p.id = r.payload_id)) OFFSET 0) AS t (body)))
