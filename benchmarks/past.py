"""A week in the life of a busy site, written by the server itself: what the pages are measured on.

A hundred tasks in five queues; one in a hundred failed, for one of five reasons; one task in ten
belongs to a workflow. Half of what is queued is ready, the rest is scheduled or waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from benchmarks.bare import Connection

TABLES = (
    "djtasks_message",
    "djtasks_taskresult",
    "djtasks_join",
    "djtasks_input",
    "djtasks_attempt",
    "djtasks_activity",
    "djtasks_depth",
    "djtasks_queue",
    "djtasks_worker",
)

MEMBERS = 100
"""Tasks of a workflow."""

# Like those of djtasks: the time in milliseconds, then something that tells them apart.
ID = """
(lpad(to_hex((extract(epoch FROM {at}) * 1000)::bigint), 12, '0') || '70008'
 || lpad(to_hex({number}), 15, '0'))::uuid
"""

RESULTS = f"""
INSERT INTO djtasks_taskresult
    (id, task, state, queue, payload, result, exception, worker, retries, enqueued_at, started_at,
     updated_at, date_done, runtime, root_id, feeds, position)
SELECT {ID.format(at="t", number="n")},
       'shop.tasks.task_' || n %% 100,
       CASE WHEN failed THEN 'FAILURE' ELSE 'SUCCESS' END,
       (ARRAY['celery', 'mail', 'images', 'reports', 'bulk'])[1 + n %% 5],
       '[[' || n || '],{{"order_id":' || n || ',"note":"' || repeat('x', 60) || '"}}]',
       CASE WHEN failed
            THEN '{{"exc_type":"ValueError","exc_message":["order ' || n || ' is lost"]}}'
            ELSE n::text
       END,
       CASE WHEN failed
            THEN (ARRAY['ValueError', 'KeyError', 'shop.errors.Lost', 'TimeoutError', 'OSError'])
                 [1 + n / 100 %% 5]
       END,
       'worker' || n %% 4 || '@site',
       CASE WHEN failed THEN 3 ELSE 0 END,
       t, t + interval '1 second', t + interval '2 seconds', t + interval '2 seconds',
       0.001 * (1 + n %% 1000),
       CASE WHEN in_workflow THEN {ID.format(at="first", number="(n - n %% %(members)s)")} END,
       CASE WHEN in_workflow THEN {ID.format(at="first", number="(n - n %% %(members)s)")} END,
       CASE WHEN in_workflow THEN n %% %(members)s END
FROM generate_series(1, %(results)s) AS n
CROSS JOIN LATERAL (
    SELECT now() - (%(results)s - n) * %(step)s * interval '1 second' AS t,
           now() - (%(results)s - n + n %% %(members)s) * %(step)s * interval '1 second' AS first,
           n %% 101 = 0 AS failed,
           n / %(members)s %% 10 = 0 AS in_workflow
) AS facts
"""

MESSAGES = f"""
INSERT INTO djtasks_message
    (id, task, state, queue, rank, payload, worker_id, started_at, enqueued_at, eta, root_id, after)
SELECT {ID.format(at="t", number="n")},
       'shop.tasks.task_' || n %% 100,
       state,
       (ARRAY['celery', 'mail', 'images', 'reports', 'bulk'])[1 + n %% 5],
       -(n %% 3),
       '[[' || n || '],{{"order_id":' || n || '}}]',
       CASE WHEN running THEN 1 + n %% 4 END,
       CASE WHEN running THEN now() END,
       t,
       CASE WHEN state = 1 THEN now() + n * interval '1 second' END,
       CASE WHEN state = 2 THEN {ID.format(at="now()", number="(n - n %% %(members)s)")} END,
       CASE WHEN state = 2 THEN {ID.format(at="now()", number="(n - n %% %(members)s)")} END
FROM generate_series(1, %(messages)s) AS n
CROSS JOIN LATERAL (
    SELECT now() - (%(messages)s - n) * interval '2 milliseconds' AS t,
           (ARRAY[0, 0, 0, 0, 0, 1, 1, 1, 2, 2])[1 + n / 100 %% 10] AS state,
           n <= 16 AS running
) AS facts
"""

ACTIVITY = """
INSERT INTO djtasks_activity (span, at, queue, task, succeeded, failed, retried, longest, runtimes)
SELECT s.span,
       to_timestamp(extract(epoch FROM now())::bigint / s.span * s.span - back * s.span),
       (ARRAY['celery', 'mail', 'images', 'reports', 'bulk'])[1 + n % 5],
       'shop.tasks.task_' || n,
       100, 1, 2, 1.5,
       (SELECT json_object_agg(36 + class, 10) FROM generate_series(1, 10) AS class)
FROM (VALUES (60, 119), (600, 149), (3600, 191)) AS s (span, spans)
CROSS JOIN LATERAL generate_series(0, s.spans) AS back
CROSS JOIN generate_series(0, 99) AS n
"""

DEPTHS = """
INSERT INTO djtasks_depth (span, at, queue, ready, latency)
SELECT DISTINCT span, at, queue, 100, 1.5 FROM djtasks_activity
"""

QUEUES = "INSERT INTO djtasks_queue (name) SELECT DISTINCT queue FROM djtasks_depth"

WORKERS = """
INSERT INTO djtasks_worker
    (id, hostname, pid, pool, concurrency, excluded_queues, version, lease, locked, wants_work,
     busy, running, memory)
SELECT n, 'worker' || n || '@site', 1000 + n, 'prefork', 8, '{}', '1', 86400, false, false,
       4,
       (SELECT json_agg(json_build_object(
                   'id', m.id, 'task', m.task, 'slot', 0, 'pid', 2000,
                   'since', extract(epoch FROM m.started_at)))
        FROM djtasks_message m
        WHERE m.worker_id = n),
       200000000
FROM generate_series(1, 4) AS n
"""


@dataclass(frozen=True)
class Examples:
    """Tasks that have a page: one that failed, and one of a workflow."""

    failed: UUID
    member: UUID


def empty(connection: Connection) -> None:
    """Leave nothing of the week."""
    connection.execute(f"TRUNCATE {', '.join(TABLES)}")


def fill(connection: Connection, results: int, messages: int) -> Examples:
    """Write the week, and let the server know its tables, as its autovacuum would."""
    empty(connection)
    week = 7 * 86_400
    numbers = {
        "results": results,
        "messages": messages,
        "members": MEMBERS,
        "step": week / results,
    }
    connection.execute(RESULTS, numbers)
    connection.execute(MESSAGES, numbers)
    for statement in (ACTIVITY, DEPTHS, QUEUES, WORKERS):
        connection.execute(statement)
    for table in TABLES:
        connection.execute(f"VACUUM (ANALYZE) {table}")
    found = [
        connection.execute(
            f"SELECT id FROM djtasks_taskresult WHERE {which} ORDER BY date_done DESC LIMIT 1"
        ).fetchone()
        for which in ("state = 'FAILURE'", "root_id IS NOT NULL")
    ]
    failed, member = (row[0] for row in found if row is not None)
    return Examples(failed, member)
