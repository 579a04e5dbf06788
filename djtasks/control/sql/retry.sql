-- Let ended tasks be messages again, under their ids, and keep what is deleted of the runs that
-- ended as attempts. Their results are locked.
-- They are ready, at the end of their queue; what they waited for they have. A join that still
-- counts, for which they succeeded, is not told of them twice.
-- ON CONFLICT: a caller may use an id of its own again at any moment; that call goes first.
-- Plan: Index Scans using the primary keys.
WITH again AS (
    SELECT r.*, i.lane, i.fair, greatest(r.retries, coalesce(t.last, 0)) + 1 AS number,
           EXISTS (SELECT FROM djtasks_join j WHERE j.id = ANY (ARRAY[r.feeds])) AS counts
    FROM unnest(%(ids)s::uuid[], %(lanes)s::text[], %(fairs)s::text[]) AS i (id, lane, fair)
    JOIN djtasks_taskresult r ON r.id = i.id
    LEFT JOIN LATERAL (
        SELECT max(a.number) AS last FROM djtasks_attempt a WHERE a.task_id = r.id
    ) t ON true
    ORDER BY r.id
), queued AS (
    INSERT INTO djtasks_message
        (id, custom_id, task, queue, rank, payload, payload_id, options, root_id, parent_id,
         after, feeds, position, lane, fair, state)
    SELECT id, custom_id, task, queue, rank, payload, payload_id, options, root_id, parent_id,
           after, CASE WHEN NOT counts THEN feeds END, CASE WHEN NOT counts THEN position END,
           lane, fair, CASE WHEN fair IS NULL THEN 0 ELSE 5 END
    FROM again
    ON CONFLICT (id) DO NOTHING
    RETURNING id, queue
), attempted AS (
    INSERT INTO djtasks_attempt
        (task_id, number, state, exception, message, worker, started_at, ended_at, runtime)
    SELECT a.id, a.number, a.state, a.exception,
           left(coalesce(
               split_part(rtrim(a.traceback, chr(10) || ' '), chr(10), -1),
               substring(a.result FROM '"exc_message":\["((?:[^"\\]|\\.)*)"')
           ), 500),
           nullif(a.worker, ''), a.started_at, a.date_done, a.runtime
    FROM again a
    JOIN queued q ON q.id = a.id
), gone AS (
    DELETE FROM djtasks_taskresult r USING queued q WHERE r.id = ANY (ARRAY[q.id])
)
SELECT id, queue FROM queued
