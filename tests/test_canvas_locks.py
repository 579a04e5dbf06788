"""Many workers end members of graphs that meet, while others revoke: nobody waits in a circle."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, connections, transaction

from djtasks import chain, chord, group
from djtasks.models import Message, TaskResult
from djtasks.queue.revoke import revoke
from tests.canvas_world import nothing_left
from tests.testapp import chaos_tasks as tasks
from tests.worker_process import Journal, WorkerProcess, eventually

SETTINGS = {"IMPORTS": ["tests.testapp.chaos_tasks"]}
WORKERS = 4
GRAPHS = 300


def deadlocks() -> int:
    """How many the server has seen in this database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def graph(chance: random.Random, depth: int) -> Any:
    """A chord of chords of chains, and of groups before groups, in which one in ten steps fails."""

    def leaf() -> Any:
        return tasks.perhaps.s(chance.randrange(100), fails=chance.random() < 0.02)

    if depth == 0:
        return leaf()
    kind = chance.randrange(3)
    members = [graph(chance, depth - 1) for _ in range(chance.randrange(2, 6))]
    if kind == 0:
        return chord(members, tasks.total.s())
    if kind == 1:
        return chain(chord(members, tasks.total.s()), tasks.plus.s(1))
    return chain(leaf(), group(tasks.plus.s(n) for n in range(3)), tasks.total.s())


def revoking(ids: list[Any], stop: threading.Event, revoked: list[int]) -> None:
    """Revoke some of what is queued, until told to stop."""
    chance = random.Random(7)
    try:
        while not stop.wait(0.02):
            revoked.append(revoke(chance.sample(ids, 3)))
    finally:
        connections.close_all()


def steps_of_a_chain() -> list[Any]:
    """The ids of the steps of a new chain, the first first."""
    handle: Any = chain(tasks.late.s(1), *[tasks.plus.s(1)] * 20).delay()
    ids = []
    while handle is not None:
        ids.append(UUID(handle.id))
        handle = handle.parent
    return ids[::-1]


def test_two_that_revoke_different_steps_of_two_chains_never_deadlock(live: None) -> None:
    before = deadlocks()
    trouble: list[BaseException] = []
    barrier = threading.Barrier(2)

    def revoking_these(ids: list[Any]) -> None:
        try:
            barrier.wait()
            revoke(ids)
        except BaseException as error:
            trouble.append(error)
        finally:
            connections.close_all()

    for _ in range(20):
        a, b = steps_of_a_chain(), steps_of_a_chain()
        # Each revokes the beginning of one and the end of the other.
        pair = [
            threading.Thread(target=revoking_these, args=(ids,))
            for ids in ([a[19], b[0]], [a[0], b[19]])
        ]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()
        assert trouble == []
    nothing_left()
    assert deadlocks() == before


@pytest.mark.timeout(200)
def test_many_workers_with_graphs_that_meet_never_deadlock(live: None, journal: Journal) -> None:
    before = deadlocks()
    chance = random.Random(5)
    stop = threading.Event()
    revoked: list[int] = []
    workers = [WorkerProcess("-c", "2", settings=SETTINGS) for _ in range(WORKERS)]
    try:
        for worker in workers:
            worker.__enter__()
        with transaction.atomic():
            for number in range(GRAPHS):
                body = tasks.note_sum.s(journal=str(journal), name=f"g{number}")
                (chord([graph(chance, 3), graph(chance, 2)], tasks.total.s()) | body).apply_async()
            ids = list(Message.objects.order_by("seq").values_list("id", flat=True))
        # The others succeed, however many can be revoked before a worker has begun them.
        thread = threading.Thread(target=revoking, args=(ids[: len(ids) // 2], stop, revoked))
        thread.start()
        eventually(lambda: not Message.objects.exists(), "every message to end", within=120)
        stop.set()
        thread.join()
        logs = [worker.log for worker in workers]
        for worker in workers:
            # Its backends tell their numbers at their end.
            worker.stop()
    finally:
        stop.set()
        for worker in workers:
            worker.__exit__(None, None, None)
    nothing_left()
    assert deadlocks() == before
    assert not any("deadlock" in log for log in logs)
    bodies = TaskResult.objects.filter(task=tasks.note_sum.name)
    assert bodies.count() == GRAPHS
    states = Counter(bodies.values_list("state", flat=True))
    # Some of each, or the test says little; a body is revoked itself now and then.
    assert {"SUCCESS", "FAILURE"} <= set(states) <= {"SUCCESS", "FAILURE", "REVOKED"}, states
    assert sum(revoked) > 0
    assert max(Counter(line.split()[0] for line in journal.lines).values()) == 1
    assert len(journal.lines) == states["SUCCESS"]
