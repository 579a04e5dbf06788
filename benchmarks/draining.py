"""(c), (f) and (g): how many tasks a second a worker with two children gets done.

Times are the server's, as the rows tell them: from the first start to the last end.
"""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from django.db import transaction

from benchmarks import bare
from benchmarks.measure import BenchmarkError, Measure, Plan, Report, alternate, rate
from benchmarks.tasks import noop
from benchmarks.worker import Worker
from djtasks import enqueue_many

TIMEOUT = 300.0
"""Seconds that one drain may take."""

QUIET = 20_000.0
"""Tasks a second that a quiet machine is to show."""

BACKLOG = 1_000_000


def drain(plan: Plan) -> Report:
    """No-op tasks with results stored; the worker is idle until all are committed at once."""
    count = plan.count(20_000, least=500)
    with bare.connect() as connection, Worker() as worker:

        def ours() -> float:
            bare.empty(connection)
            enqueue_and_drain(connection, worker, count)
            return rate_of_ended(connection, count)

        def loop() -> float:
            bare.empty(connection)
            bare.fill(connection, "bare_message", count)
            connection.execute("ANALYZE bare_message")
            return rate(count, lambda: bare.drain(connection))

        # A first small one: the children have never run anything before.
        enqueue_and_drain(connection, worker, max(1, count // 10))
        ours_values, bare_values = alternate(plan.rounds, ours, loop)
        bare.empty(connection)
    report = Report()
    a = report.figure("drain, 2 children", "/s", ours_values)
    b = report.figure("bare claim + finish, 100 a batch", "/s", bare_values)
    report.at_least(report.ratio(a, b), 0.4)
    report.at_least(a, QUIET)
    return report


def backlog(plan: Plan) -> Report:
    """The same number of tasks, in front of a million others and in front of none."""
    count, behind = plan.count(20_000, least=500), plan.count(BACKLOG, least=10_000)

    def run(connection: bare.Connection, database: str, *, is_deep: bool) -> float:
        bare.empty(connection, backlog=is_deep)
        bare.fill(connection, "djtasks_message", count, rank=-1)
        with Worker(f"--max-tasks={count}", database=database, wait=False) as worker:
            worker.wait(TIMEOUT)
        return rate_of_ended(connection, count)

    with bare.connect() as shallow, bare.connect("deep") as deep:
        bare.fill(deep, "djtasks_message", behind)
        alone, before_others = alternate(
            plan.rounds,
            lambda: run(shallow, "default", is_deep=False),
            lambda: run(deep, "deep", is_deep=True),
        )
        for connection in (shallow, deep):
            bare.empty(connection)
    report = Report()
    a = report.figure(f"with {behind:,} behind", "/s", before_others)
    b = report.figure("with nothing behind", "/s", alone)
    report.at_least(report.ratio(a, b, "ratio to nothing behind"), 0.9)
    return report


def old_snapshot(plan: Plan) -> Report:
    """A long drain while another connection holds a snapshot from before it."""
    # A tenth must be more than one turn writes: ends of the same turn are of the same moment.
    count = plan.count(100_000, least=10_000)
    first: list[float] = []
    last: list[float] = []
    with bare.connect() as connection, Worker() as worker:
        for _ in range(plan.rounds):
            bare.empty(connection)
            with bare.connect() as holder:
                holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
                holder.execute("SELECT pg_current_snapshot()")
                enqueue_and_drain(connection, worker, count)
                rate_of_ended(connection, count)
                fast, slow = _tenths(connection, count)
                holder.execute("ROLLBACK")
            first.append(fast)
            last.append(slow)
        bare.empty(connection)
    report = Report()
    a = report.figure("first tenth", "/s", first)
    b = report.figure("last tenth", "/s", last)
    report.at_least(report.ratio(b, a, "last tenth to first"), 0.8)
    return report


def enqueue_and_drain(connection: bare.Connection, worker: Worker, count: int) -> None:
    """Enqueue tasks in one transaction, and wait until all of them are done."""
    with transaction.atomic():
        results = enqueue_many((noop, (number,)) for number in range(count))
    wait_for_all(connection, worker, results[-1].id)


def wait_for_all(connection: bare.Connection, worker: Worker, last: str) -> None:
    """Wait until the task with the id ``last`` has ended, and until no message is left."""
    # Looked for by key, so that waiting costs the server next to nothing.
    deadline = time.monotonic() + TIMEOUT
    statement = "SELECT 1 FROM djtasks_taskresult WHERE id = %s"
    while connection.execute(statement, (UUID(last),)).fetchone() is None:
        worker.check()
        if time.monotonic() > deadline:
            raise BenchmarkError(f"The last task is not done after {TIMEOUT} s.")
        time.sleep(0.02)
    while connection.execute("SELECT 1 FROM djtasks_message LIMIT 1").fetchone():
        worker.check()
        if time.monotonic() > deadline:
            raise BenchmarkError(f"There still are messages after {TIMEOUT} s.")
        time.sleep(0.02)


def rate_of_ended(connection: bare.Connection, count: int) -> float:
    """Tasks a second, from the first start to the last end of all that are stored.

    Raises :class:`BenchmarkError` unless ``count`` tasks succeeded.
    """
    row: Any = connection.execute(
        "SELECT count(*) FILTER (WHERE state = 'SUCCESS'),"
        " extract(epoch FROM max(date_done) - min(started_at))::float8 FROM djtasks_taskresult"
    ).fetchone()
    if row[0] != count:
        raise BenchmarkError(f"{row[0]} of {count} tasks succeeded.")
    return count / float(row[1])


def _tenths(connection: bare.Connection, count: int) -> tuple[float, float]:
    """Tasks a second in the first tenth and in the last tenth."""
    tenth = count // 10
    row: Any = connection.execute(
        """
        WITH done AS (
            SELECT started_at, date_done, row_number() OVER (ORDER BY date_done) AS place
            FROM djtasks_taskresult
        )
        SELECT extract(epoch FROM max(date_done) FILTER (WHERE place = %(tenth)s)
                                  - min(started_at))::float8,
               extract(epoch FROM max(date_done)
                                  - max(date_done) FILTER (WHERE place = %(nine)s))::float8
        FROM done
        """,
        {"tenth": tenth, "nine": count - tenth},
    ).fetchone()
    return tenth / float(row[0]), tenth / float(row[1])


MEASURES = [
    Measure("c", "drain of no-op tasks, results stored", drain),
    Measure("f", "drain before a long backlog", backlog),
    Measure("g", "drain under an old snapshot", old_snapshot),
]
