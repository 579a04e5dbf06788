"""(d) and (e): how long one task takes to arrive on an idle worker, and its result to come back."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import UUID

from benchmarks import bare
from benchmarks.measure import BenchmarkError, Measure, Plan, Report, percentile
from benchmarks.tasks import arrive, noop
from benchmarks.worker import Worker

RHYTHM = 0.05
"""Seconds between two calls."""

TIMEOUT = 30.0
"""Seconds that a result may take to come."""


def arrival(plan: Plan) -> Report:
    """From just before ``delay()`` to inside the task, one call every 50 ms.

    Between two calls there is one bare INSERT, which tells what a durable commit takes now.
    """
    count = plan.count(200)
    ours: list[list[float]] = []
    inserts: list[list[float]] = []
    with bare.connect() as connection, Worker():
        arrive.delay(time.time()).get(timeout=TIMEOUT)
        for _ in range(plan.rounds):
            bare.empty(connection)
            bare.insert_one(connection, 0)
            ids, taken = _rhythm(connection, count)
            ours.append(_seconds(connection, ids))
            inserts.append(taken)
        bare.empty(connection)
    report = Report()
    found = {
        percent: report.figure(
            f"delay() to the task, p{percent}", "ms", [percentile(r, percent) * 1e3 for r in ours]
        )
        for percent in (50, 95, 99)
    }
    floor = report.figure("bare INSERT, p50", "ms", [percentile(r, 50) * 1e3 for r in inserts])
    report.figure("bare INSERT, p99", "ms", [percentile(r, 99) * 1e3 for r in inserts])
    over = [a - b for a, b in zip(found[50].rounds, floor.rounds, strict=True)]
    report.at_most(report.figure("p50 over bare INSERT", "ms", over), 2.0)
    report.at_most(found[50], 3.5)
    report.at_most(found[99], 10.0)
    return report


def _rhythm(connection: bare.Connection, count: int) -> tuple[list[UUID], list[float]]:
    ids: list[UUID] = []
    taken: list[float] = []
    due = time.perf_counter()
    for number in range(count):
        _sleep_until(due)
        ids.append(UUID(arrive.delay(time.time()).id))
        _sleep_until(due + RHYTHM / 2)
        began = time.perf_counter()
        bare.insert_one(connection, number)
        taken.append(time.perf_counter() - began)
        due = max(due + RHYTHM, time.perf_counter())
    return ids, taken


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.perf_counter()))


def _seconds(connection: bare.Connection, ids: list[UUID]) -> list[float]:
    """What the tasks returned, once all of them have."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        rows: list[Any] = connection.execute(
            "SELECT result FROM djtasks_taskresult WHERE id = ANY (%s) AND state = 'SUCCESS'",
            (ids,),
        ).fetchall()
        if len(rows) == len(ids):
            return [float(json.loads(row[0])) for row in rows]
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{len(rows)} of {len(ids)} tasks succeeded in {TIMEOUT} s.")
        time.sleep(0.05)


def round_trip(plan: Plan) -> Report:
    """``delay().get()``, one after the other."""
    count = plan.count(200)
    rounds: list[list[float]] = []
    with bare.connect() as connection, Worker():
        noop.delay(0).get(timeout=TIMEOUT)
        for _ in range(plan.rounds):
            bare.empty(connection)
            taken = []
            for number in range(count):
                began = time.perf_counter()
                noop.delay(number).get(timeout=TIMEOUT)
                taken.append(time.perf_counter() - began)
            rounds.append(taken)
        bare.empty(connection)
    report = Report()
    for percent in (50, 95):
        report.figure(
            f"delay().get(), p{percent}", "ms", [percentile(r, percent) * 1e3 for r in rounds]
        )
    return report


MEASURES = [
    Measure("d", "latency of an idle worker", arrival),
    Measure("e", "round trip with result", round_trip),
]
