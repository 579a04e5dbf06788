"""(i) to (l): how fast workflows go, beside the same number of tasks that wait for nothing.

Times are the server's, as in :mod:`benchmarks.draining`, but for those of a chain's steps: what
they return is a time of this machine's clock.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks import bare
from benchmarks.draining import enqueue_and_drain, rate_of_ended, wait_for_all
from benchmarks.footprint import MIB
from benchmarks.measure import BenchmarkError, Measure, Plan, Report, alternate, percentile
from benchmarks.tasks import gather, noop, tick
from benchmarks.worker import BASE_DIR, Worker
from djtasks import chain, chord, group

CALLER_TIMEOUT = 300.0
"""Seconds that a process may take that enqueues one chord."""

TIMEOUT = 60.0
"""Seconds that a chain may take."""

LENGTH = 10
"""Steps of each of many chains."""

MEMBERS = 20
"""Members of each of many chords."""


class Runs:
    """A file in which every run of a chord's body leaves a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch()

    def take(self) -> list[int]:
        """The sizes of the lists that bodies were given since the last look."""
        sizes = [int(line) for line in self.path.read_text().splitlines()]
        self.path.write_text("")
        return sizes


@contextmanager
def runs_of_bodies() -> Iterator[Runs]:
    """Where bodies note their runs, for as long as the block lasts."""
    with tempfile.TemporaryDirectory() as directory:
        yield Runs(Path(directory) / "runs")


def large_chord(plan: Plan) -> Report:
    """One chord of no-op members, enqueued from a generator, and the body's list of all results."""
    count = plan.count(10_000, least=1000)
    enqueueing: list[float] = []
    bodies: list[float] = []
    with bare.connect() as connection, Worker() as worker, runs_of_bodies() as runs:

        def plain() -> float:
            bare.empty(connection)
            enqueue_and_drain(connection, worker, count)
            return rate_of_ended(connection, count)

        def one() -> float:
            bare.empty(connection)
            enqueueing.append(_chord(connection, worker, count, runs))
            sizes = runs.take()
            bodies.append(len(sizes))
            return rate_of_ended(connection, count + 1)

        enqueue_and_drain(connection, worker, max(1, count // 10))
        _chord(connection, worker, max(1, count // 10), runs)
        runs.take()
        plain_values, chord_values = alternate(plan.rounds, plain, one)
        bare.empty(connection)
    small, large = _memory(plan, count)
    report = Report()
    seconds = report.figure(f"enqueueing {count:,} members", "s", enqueueing)
    a = report.figure("first start to the body's end", "/s", chord_values)
    b = report.figure("as many plain tasks", "/s", plain_values)
    ratio = report.ratio(a, b, "ratio to plain")
    times = report.figure("runs of the body", "", bodies)
    report.figure(f"caller's peak, {count:,}", "MiB", small)
    report.figure(f"caller's peak, {10 * count:,}", "MiB", large)
    report.at_most(seconds, 1.0)
    report.at_least(ratio, 0.7)
    report.at_most(times, 1.0)
    return report


def _memory(plan: Plan, count: int) -> list[list[float]]:
    """What chords of so many, and of ten times as many, add to the memory of their caller."""
    with bare.connect() as connection:

        def peak(size: int) -> Callable[[], float]:
            def run() -> float:
                bare.empty(connection)
                return _caller(size) / MIB

            return run

        found = alternate(1 if plan.rounds < 3 else 3, peak(count), peak(10 * count))
        bare.empty(connection)
    return found


def _caller(size: int) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.caller", str(size)],
        cwd=BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "benchmarks.settings"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=CALLER_TIMEOUT,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"The caller ended with status {done.returncode}.\n{done.stderr}")
    return int(done.stdout)


def hops(plan: Plan) -> Report:
    """One chain on an idle worker: from inside one step to inside the next."""
    length = plan.count(200)
    rounds: list[list[float]] = []
    with bare.connect() as connection, Worker():
        _ticks(connection, 20)
        for _ in range(plan.rounds):
            bare.empty(connection)
            times = _ticks(connection, length)
            rounds.append([b - a for a, b in pairwise(times)])
        bare.empty(connection)
    report = Report()
    found = {
        percent: report.figure(
            f"a hop, p{percent}", "ms", [percentile(r, percent) * 1e3 for r in rounds]
        )
        for percent in (50, 95)
    }
    report.at_most(found[50], 3.0)
    return report


def _ticks(connection: bare.Connection, length: int) -> list[float]:
    """The times at which the steps of one chain ran, in their order."""
    last = chain(tick.s() for _ in range(length)).apply_async()
    ids: list[UUID] = []
    result = last
    while result is not None:
        ids.append(UUID(result.id))
        result = result.parent
    last.get(timeout=TIMEOUT)
    rows: list[Any] = connection.execute(
        "SELECT id, result FROM djtasks_taskresult WHERE id = ANY (%s) AND state = 'SUCCESS'",
        (ids,),
    ).fetchall()
    if len(rows) != length:
        raise BenchmarkError(f"{len(rows)} of {length} steps succeeded.")
    times = {row[0]: float(json.loads(row[1])) for row in rows}
    return [times[key] for key in reversed(ids)]


def many(plan: Plan) -> Report:
    """Many chains at once, and one chord whose members are many chords."""
    chains, chords = plan.count(1000, least=50), plan.count(200, least=10)
    in_chains = chains * LENGTH
    in_chords = chords * (MEMBERS + 1) + 1
    with bare.connect() as connection, Worker() as worker:

        def plain() -> float:
            return as_many(in_chains)

        def plain_few() -> float:
            return as_many(in_chords)

        def as_many(count: int) -> float:
            bare.empty(connection)
            enqueue_and_drain(connection, worker, count)
            return rate_of_ended(connection, count)

        def in_steps() -> float:
            bare.empty(connection)
            results = group(_chain() for _ in range(chains)).apply_async()
            wait_for_all(connection, worker, results[-1].id)
            return rate_of_ended(connection, in_chains)

        def nested() -> float:
            bare.empty(connection)
            body = chord(_inner_chord() for _ in range(chords))(noop.s())
            wait_for_all(connection, worker, body.id)
            return rate_of_ended(connection, in_chords)

        enqueue_and_drain(connection, worker, max(1, in_chains // 10))
        plain_values, chain_values, few_values, chord_values = alternate(
            plan.rounds, plain, in_steps, plain_few, nested
        )
        bare.empty(connection)
    report = Report()
    a = report.figure(f"{chains:,} chains of {LENGTH}", "/s", chain_values)
    b = report.figure(f"{chords:,} chords of {MEMBERS} in a chord", "/s", chord_values)
    c = report.figure(f"{in_chains:,} plain tasks", "/s", plain_values)
    d = report.figure(f"{in_chords:,} plain tasks", "/s", few_values)
    report.at_least(report.ratio(a, c, "chains to plain"), 0.6)
    report.at_least(report.ratio(b, d, "chords to plain"), 0.6)
    return report


def _chain() -> Any:
    return chain(noop.s(0), *(noop.s() for _ in range(LENGTH - 1)))


def _inner_chord() -> Any:
    return chord([noop.s(number) for number in range(MEMBERS)], noop.s())


def shared_chord(plan: Plan) -> Report:
    """One chord whose members are ended by two workers, whose turns count down the same row."""
    count = plan.count(10_000, least=1000)
    first = max(1, count // 10)
    with bare.connect() as connection, Worker() as worker, runs_of_bodies() as runs:

        def alone() -> float:
            bare.empty(connection)
            _chord(connection, worker, count, runs)
            return rate_of_ended(connection, count + 1)

        def together() -> float:
            with Worker() as other:
                bare.empty(connection)
                _chord(connection, worker, first, runs)
                other.check()
                bare.empty(connection)
                _chord(connection, worker, count, runs)
                other.check()
                return rate_of_ended(connection, count + 1)

        _chord(connection, worker, first, runs)
        one, two = alternate(plan.rounds, alone, together)
        if any(size not in (first, count) for size in runs.take()):
            raise BenchmarkError("A body was not given all results.")
        bare.empty(connection)
    report = Report()
    a = report.figure("two workers", "/s", two)
    b = report.figure("one worker", "/s", one)
    report.ratio(a, b, "two workers to one")
    return report


def _chord(connection: bare.Connection, worker: Worker, count: int, runs: Runs) -> float:
    """Enqueue a chord, wait for its body's end, and return the seconds of enqueueing it."""
    began = time.perf_counter()
    body = chord(noop.s(number) for number in range(count))(gather.s(str(runs.path)))
    seconds = time.perf_counter() - began
    wait_for_all(connection, worker, body.id)
    return seconds


MEASURES = [
    Measure("i", "a chord of 10,000", large_chord),
    Measure("j", "a chain on an idle worker", hops),
    Measure("k", "many chains and chords at once", many),
    Measure("l", "one chord, two workers", shared_chord),
]
