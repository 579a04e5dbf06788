"""Limits and single workers: draining, being stopped, being killed, and what is left behind."""

from __future__ import annotations

import random
import signal
import time
from collections import defaultdict
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from djtasks import enqueue_many
from djtasks.models import Message, MessageState, Place, Rate, TaskResult
from djtasks.queue.connect import parameters
from djtasks.worker.housekeeping import Housekeeping
from tests.test_lanes import SETTINGS, assert_kept, most_at_once
from tests.test_lanes_workers import names, starts
from tests.testapp import limit_tasks as tasks
from tests.worker_process import PATIENCE, Journal, WorkerProcess, eventually, states, wait_drained


@pytest.mark.usefixtures("live")
def test_a_worker_that_drains_runs_what_is_blocked_too(journal: Journal) -> None:
    enqueue_many((tasks.one_of_each, (str(journal), "k", str(n), 0.05)) for n in range(5))
    enqueue_many((tasks.ten_of_a_worker, (str(journal), str(n))) for n in range(8))
    stuck = tasks.in_order.delay(str(journal), "later", "0", 0.0, 1, 3600.0)
    behind = tasks.in_order.delay(str(journal), "later", "1")
    with WorkerProcess("--drain", "-P", "solo", settings=SETTINGS, wait=False) as worker:
        assert worker.wait() == 0
    # What is behind one that is due later is not what is there now.
    left = set(Message.objects.values_list("id", flat=True))
    assert left == {stuck.key, behind.key}
    assert states()["SUCCESS"] == 13


@pytest.mark.usefixtures("live")
def test_a_worker_that_was_stopped_for_longer_than_its_lease_loses_its_places(
    journal: Journal, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with ExitStack() as stack:
        stopped, other = (
            stack.enter_context(
                WorkerProcess("-c", "2", "-Q", queue, settings={**SETTINGS, "POOLED_LEASE": 2.0})
            )
            for queue in ("first", "second")
        )
        tasks.numbered.apply_async((str(journal), "k", "0", str(gate)), queue="first")
        journal.wait("begin k 0")
        for process in stopped.tree():
            process.send_signal(signal.SIGSTOP)
        waits = [
            tasks.numbered.apply_async((str(journal), "k", str(n)), queue="second") for n in (1, 2)
        ]
        # Its lock is held while its process is there: nobody else has its place meanwhile.
        time.sleep(3.0)
        assert names(journal, "begin", "k") == ["0"]
        for process in stopped.tree():
            process.send_signal(signal.SIGCONT)
        gate.touch()
        for result in waits:
            result.get(timeout=PATIENCE)
        assert names(journal, "end", "k") == ["0", "1", "2"]
        assert other.status is None


# --- what is left ------------------------------------------------------------------------------


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize(
    ("task", "end"), [(tasks.one_of_each, "FAILURE"), (tasks.two_of_a_key, "SUCCESS")]
)
def test_the_next_one_goes_when_the_process_of_the_one_before_is_killed(
    journal: Journal, task: Any, end: str
) -> None:
    """Acknowledged early it fails, acknowledged late it begins again; both free the place."""
    with WorkerProcess("-c", "2", settings=SETTINGS) as worker:
        first = task.delay(str(journal), "k", "0", 5.0)
        journal.wait("begin k 0")
        others = [task.delay(str(journal), "k", str(n), 0.01) for n in range(1, 6)]
        for child in worker.children:
            child.send_signal(signal.SIGKILL)
        for result in others:
            result.get(timeout=PATIENCE)
        eventually(lambda: first.state == end)
    assert not Message.objects.exists()


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("task", [tasks.numbered, tasks.one_of_each])
def test_a_long_line_moves_on_at_once_beside_a_busy_process(journal: Journal, task: Any) -> None:
    """Of a queue in which all are blocked nothing is ready: nobody looks there of itself."""
    with WorkerProcess("-c", "2", settings=SETTINGS) as worker:
        tasks.numbered.apply_async((str(journal), "long", "0", 60.0), queue="other")
        journal.wait("begin long 0")
        enqueue_many((task, (str(journal), "k", str(n), 0.01)) for n in range(100))
        journal.wait("begin k 5")
        # With a look of the keeper's for each, every two seconds, it would take minutes.
        eventually(lambda: len(names(journal, "end", "k")) == 100)
        assert worker.status is None
    assert most_at_once([line for line in journal.lines if " k " in line]) == {"k": 1}


@pytest.mark.usefixtures("live")
def test_places_and_rates_that_nobody_has_are_forgotten(journal: Journal) -> None:

    gone = tasks.one_of_each.delay(str(journal), "gone", "0")
    held = tasks.one_of_each.delay(str(journal), "held", "0")
    for result, lane in ((gone, "limit:one:gone"), (held, "limit:one:held")):
        Place.objects.create(lane=lane, message_id=result.key)
    Message.objects.filter(id=gone.key).delete()
    day = timedelta(days=1, minutes=1)
    old = datetime.now(UTC) - day
    for name, used_until, opens_at in (
        ("rate:old", old, None),
        ("rate:new", datetime.now(UTC), None),
        ("rate:opens", old, old),
        ("rate:blocks", old, None),
    ):
        Rate.objects.create(
            name=name, interval=1, burst=1, used_until=used_until, opens_at=opens_at
        )
    Message.objects.filter(id=held.key).update(state=MessageState.BLOCKED, gate="rate:blocks")
    with psycopg.connect(**parameters("default"), autocommit=True) as connection:
        Housekeeping(lambda: False).tidy(connection)
    assert list(Place.objects.values_list("lane", flat=True)) == ["limit:one:held"]
    assert set(Rate.objects.values_list("name", flat=True)) == {
        "rate:new",
        "rate:opens",
        "rate:blocks",
    }


@pytest.mark.usefixtures("live")
def test_three_workers_under_kills_never_let_one_too_many_run(journal: Journal) -> None:
    """Children and whole workers are killed at random; of each key two run, or one, in order."""
    chance = random.Random(11)
    limited, ordered, rated = 240, 210, 60
    with ExitStack() as stack:
        crews = [stack.enter_context(WorkerProcess("-c", "3", settings=SETTINGS)) for _ in range(3)]
        enqueue_many(
            (tasks.counted, (str(journal), f"c{n % 4}", str(n), 0.01)) for n in range(limited)
        )
        enqueue_many(
            (tasks.in_order, (str(journal), f"o{n % 5}", str(n), 0.01)) for n in range(ordered)
        )
        asked = time.monotonic()
        enqueue_many((tasks.twenty_a_second, (str(journal), str(n))) for n in range(rated))
        ends = time.monotonic() + 6
        while time.monotonic() < ends:
            time.sleep(chance.uniform(0.05, 0.3))
            if chance.random() < 0.1 and len(crews) > 1:
                crews.pop(chance.randrange(len(crews))).kill()
                crews.append(stack.enter_context(WorkerProcess("-c", "3", settings=SETTINGS)))
            elif children := chance.choice(crews).children:
                chance.choice(children).send_signal(signal.SIGKILL)
        wait_drained()
    assert not [line for line in journal.lines if line.startswith("many ")]
    assert TaskResult.objects.filter(task="counted", state="SUCCESS").count() == limited
    assert TaskResult.objects.filter(task="in_order", state="SUCCESS").count() == ordered
    done: dict[str, list[int]] = defaultdict(list)
    for line in journal.lines:
        if line.startswith("done o"):
            _, key, name = line.split()
            if int(name) not in done[key]:
                done[key].append(int(name))
    assert done == {f"o{k}": list(range(k, ordered, 5)) for k in range(5)}
    # Two may start at one moment.
    assert_kept(starts(journal)[1:], asked, interval=0.05)
