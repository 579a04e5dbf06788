"""The same work in bare SQL, as little of it as there can be: what djtasks is compared with.

The tables are copies of djtasks' own, with all indexes and storage parameters.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from djtasks.ids import new_id
from djtasks.queue.connect import parameters

TASK = "benchmarks.tasks.noop"
QUEUE = "celery"
BATCH = 1000

INSERT_ONE = "INSERT INTO bare_message (id, task, payload, queue) VALUES (%s, %s, %s, %s)"

INSERT_MANY = """
INSERT INTO bare_message (id, task, payload, queue)
SELECT unnest(%s::uuid[]), unnest(%s::text[]), unnest(%s::text[]), unnest(%s::text[])
"""

CLAIM = """
UPDATE bare_message
SET worker_id = 1, started_at = now()
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM bare_message
    WHERE state = 0 AND queue = %s AND worker_id IS NULL
    ORDER BY rank, seq
    LIMIT %s
    FOR UPDATE SKIP LOCKED
))
RETURNING id, task, payload
"""

FINISH = """
WITH ended AS (
    DELETE FROM bare_message WHERE id = ANY (%s) RETURNING *
)
INSERT INTO bare_taskresult
    (id, task, state, queue, rank, payload, result, worker, retries, deliveries,
     enqueued_at, started_at, updated_at, date_done)
SELECT id, task, 'SUCCESS', queue, rank, payload, 'null', 'bare', retries, deliveries,
       enqueued_at, started_at, now(), now()
FROM ended
"""

# Ids in the order of time, as the ones that are made in Python.
FILL = """
INSERT INTO {table} (id, task, payload, queue, rank)
SELECT (encode(int8send((extract(epoch FROM clock_timestamp()) * 1000000)::bigint), 'hex')
        || encode(int8send(number), 'hex'))::uuid,
       %(task)s, '[[' || number || '],{{}}]', %(queue)s, %(rank)s
FROM generate_series(1, %(count)s) AS number
"""

Connection = psycopg.Connection[Any]


def connect(alias: str = "default") -> Connection:
    """A plain connection to one of the databases, in autocommit."""
    return psycopg.connect(**parameters(alias), autocommit=True)


def make_tables(connection: Connection) -> None:
    """Make the copies of djtasks' tables."""
    for table in ("message", "taskresult"):
        ours, bare = f"djtasks_{table}", f"bare_{table}"
        connection.execute(
            sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(
                sql.Identifier(bare), sql.Identifier(ours)
            )
        )
        row = connection.execute(
            "SELECT reloptions FROM pg_class WHERE relname = %s", (ours,)
        ).fetchone()
        for option in (row[0] or ()) if row else ():
            name, _equals, value = option.partition("=")
            connection.execute(
                sql.SQL("ALTER TABLE {} SET ({} = {})").format(
                    sql.Identifier(bare), sql.Identifier(name), sql.Literal(value)
                )
            )


def empty(connection: Connection, *, backlog: bool = False) -> None:
    """Start a round on empty tables, with no write of an earlier one left to be done.

    With ``backlog`` the queued messages stay, and their table is vacuumed.
    """
    if backlog:
        connection.execute("TRUNCATE djtasks_taskresult, bare_message, bare_taskresult")
        connection.execute("VACUUM (ANALYZE) djtasks_message")
    else:
        connection.execute(
            "TRUNCATE djtasks_message, djtasks_taskresult, djtasks_join, djtasks_input,"
            " djtasks_place, djtasks_rate, djtasks_unique,"
            " bare_message, bare_taskresult"
        )
    try:
        connection.execute("CHECKPOINT")
    except psycopg.errors.InsufficientPrivilege:
        # Not everybody may; then the server's own checkpoints fall where they will.
        return


def insert_one(connection: Connection, number: int) -> None:
    """Enqueue one message."""
    connection.execute(INSERT_ONE, (new_id(), TASK, f"[[{number}],{{}}]", QUEUE))


def insert_each(connection: Connection, count: int) -> None:
    """Enqueue messages, one in a statement and in a commit."""
    for number in range(count):
        insert_one(connection, number)


def insert_many(connection: Connection, count: int) -> None:
    """Enqueue messages, a thousand in a statement."""
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        size = len(numbers)
        connection.execute(
            INSERT_MANY,
            (
                [new_id() for _ in numbers],
                [TASK] * size,
                [f"[[{number}],{{}}]" for number in numbers],
                [QUEUE] * size,
            ),
        )


def fill(connection: Connection, table: str, count: int, rank: int = 0) -> None:
    """Put messages of the no-op task into a table within the server."""
    statement = sql.SQL(FILL).format(table=sql.Identifier(table))
    connection.execute(statement, {"task": TASK, "queue": QUEUE, "rank": rank, "count": count})


def drain(connection: Connection, batch: int = 100) -> int:
    """Claim and finish until nothing is left; returns how many messages there were."""
    done = 0
    while True:
        rows = connection.execute(CLAIM, (QUEUE, batch)).fetchall()
        if not rows:
            return done
        connection.execute(FINISH, ([row[0] for row in rows],))
        done += len(rows)
