"""Workflows of which children, workers and the server are killed: all end, and each body once."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from django.test import override_settings

from djtasks import chain, chord
from djtasks.models import Input, Join, Message, TaskResult
from testproject.embedded import Server
from tests.test_worker_database import restart
from tests.testapp import chaos_tasks as tasks
from tests.worker_process import Journal, WorkerProcess, eventually

CHAOS = {"IMPORTS": ["tests.testapp.chaos_tasks"], "LEASE": 2.0, "HEARTBEAT_INTERVAL": 0.5}

SIZES = random.Random(20261122)

MANY = int(os.environ.get("DJTASKS_CHAOS", "2000"))
"""Workflows of the test in which everything is killed."""

KILLING = 60.0
"""Seconds for which it goes on killing; after that what is left may run to its end."""


def sums(journal: Journal, count: int) -> dict[str, int]:
    """Enqueue so many chords and chains of late and atomic members; the sums they must give."""
    expected: dict[str, int] = {}
    for number in range(count):
        name = f"w{number}"
        values = [SIZES.randrange(100) for _ in range(SIZES.randrange(1, 6))]
        step = (tasks.late, tasks.atomic)[number % 2]
        body = tasks.note_sum.s(journal=str(journal), name=name)
        if number % 4 == 3:
            first, *rest = values
            sig: Any = chain(step.s(first), *(tasks.plus.s(value) for value in rest), body)
        elif number % 4 == 2:
            inner = chord([step.s(value) for value in values], tasks.total.s())
            sig = chord([inner, chain(step.s(1), tasks.plus.s(1))], tasks.total.s()) | body
            values = [*values, 2]
        else:
            sig = chord([step.s(value) for value in values], tasks.total.s()) | body
        sig.apply_async()
        expected[name] = sum(values)
    return expected


def has_more_than(count: int) -> bool:
    """Whether more tasks than this have ended on the private server."""
    return TaskResult.objects.using("private").count() > count


def started(url: str | None = None) -> WorkerProcess:
    """A new worker, serving."""
    worker = WorkerProcess("-c", "2", "-l", "ERROR", url=url, settings=CHAOS)
    worker.__enter__()
    return worker


def kill_one(
    workers: list[WorkerProcess],
    chance: random.Random,
    url: str | None = None,
    share: float = 0.7,
) -> str:
    """Kill a child of one of the workers, or one of the workers and put another in its place.

    ``share`` is that of the children.
    """
    victim = chance.randrange(len(workers))
    children = workers[victim].children
    if chance.random() < share and children:
        chance.choice(children).send_signal(signal.SIGKILL)
        return "child"
    workers[victim].kill()
    workers[victim].__exit__(None, None, None)
    workers[victim] = started(url)
    return "worker"


def check(expected: dict[str, int], journal: Journal, using: str) -> None:
    """Every workflow is complete, or failed for a reason that is recorded; nothing waits."""
    eventually(
        lambda: not Message.objects.using(using).exists(), "every message to end", within=120
    )
    assert not Join.objects.using(using).exists()
    assert not Input.objects.using(using).exists()
    bodies = TaskResult.objects.using(using).filter(task=tasks.note_sum.name)
    assert bodies.count() == len(expected)
    states = Counter(bodies.values_list("state", flat=True))
    assert set(states) <= {"SUCCESS", "FAILURE"}
    for reason in bodies.filter(state="FAILURE").values_list("result", flat=True):
        assert reason is not None
        assert "WorkerLost" in reason or "TimeLimit" in reason, reason
    # An early body runs at most once, and what it was given is right.
    seen = Counter(line.split()[0] for line in journal.lines)
    assert max(seen.values()) == 1
    for line in journal.lines:
        name, total = line.split()
        assert int(total) == expected[name], line
    assert len(seen) >= states["SUCCESS"] > 0


@pytest.mark.timeout(280)
def test_children_and_workers_are_killed_while_workflows_run(live: None, journal: Journal) -> None:
    chance = random.Random(1)
    expected = sums(journal, 400)
    workers = [started() for _ in range(2)]
    try:
        ends = time.monotonic() + 60
        while Message.objects.exists() and time.monotonic() < ends:
            time.sleep(chance.uniform(0.1, 0.5))
            kill_one(workers, chance)
        check(expected, journal, "default")
    finally:
        for worker in workers:
            worker.__exit__(None, None, None)


@pytest.mark.timeout(280)
def test_the_server_is_killed_while_workflows_run(
    server: Server,
    journal: Journal,
) -> None:
    with override_settings(DJTASKS={"DATABASE": "private"}):
        expected = sums(journal, 200)
    with (
        WorkerProcess("-c", "2", "-l", "ERROR", url=server.url, settings=CHAOS),
        WorkerProcess("-c", "2", "-l", "ERROR", url=server.url, settings=CHAOS),
    ):
        for _ in range(3):
            enough = TaskResult.objects.using("private").count() + 50
            eventually(partial(has_more_than, enough), "some results")
            restart(server, "kill", 0.2)
        check(expected, journal, "private")


@pytest.mark.slow
@pytest.mark.timeout(290)
def test_children_workers_and_the_server_are_killed_while_thousands_of_workflows_run(
    server: Server,
    journal: Journal,
) -> None:
    chance = random.Random(2)
    with override_settings(DJTASKS={"DATABASE": "private"}), transaction.atomic(using="private"):
        expected = sums(journal, MANY)
    workers = [started(server.url) for _ in range(2)]
    killed: Counter[str] = Counter()
    try:
        ends = time.monotonic() + KILLING
        while Message.objects.using("private").exists() and time.monotonic() < ends:
            time.sleep(chance.uniform(0.1, 0.8))
            # For certain once, however soon the workflows are through.
            if chance.random() < 0.1 or (killed.total() == 5 and not killed["server"]):
                restart(server, "kill", chance.uniform(0.0, 1.0))
                killed["server"] += 1
            else:
                # Each for certain once, too.
                share = {3: 0.0, 4: 1.0}.get(killed.total(), 0.7)
                killed[kill_one(workers, chance, server.url, share)] += 1
        check(expected, journal, "private")
    finally:
        for worker in workers:
            worker.__exit__(None, None, None)
    assert min(killed[who] for who in ("child", "worker", "server")) > 0, killed
