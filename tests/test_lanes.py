"""What limits how many tasks run at once, in which order, and how fast they start."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from djtasks import chain, enqueue_many
from djtasks.lanes import BURST
from djtasks.models import Message, MessageState, TaskResult
from tests.testapp import limit_tasks as tasks
from tests.worker_process import (
    PATIENCE,
    Journal,
    WorkerProcess,
    eventually,
    states,
    wait_drained,
)

SETTINGS = {"IMPORTS": ["tests.testapp.limit_tasks"], "LEASE": 2.0, "HEARTBEAT_INTERVAL": 0.5}


@pytest.fixture(scope="module")
def workers(live_database: None) -> Iterator[list[WorkerProcess]]:
    """Two workers with four children each."""
    with ExitStack() as stack:
        yield [stack.enter_context(WorkerProcess("-c", "4", settings=SETTINGS)) for _ in range(2)]


def most_at_once(lines: list[str]) -> dict[str, int]:
    """How many of each key have run at the same moment."""
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for line in lines:
        what, key, _name = line.split()
        if what != "done":
            running[key] += 1 if what == "begin" else -1
            most[key] = max(most[key], running[key])
    return dict(most)


def assert_kept(times: list[float], asked: float, *, interval: float) -> None:
    """No task began before a rate allowed so many since they were asked for.

    They may begin later than they are let: between two of them there may be less than the interval.
    And of a fast rate a tenth of a second's worth may begin at one moment.
    """
    ahead = max(1.0, BURST / interval) - 1
    early = [n for n, begun in enumerate(times) if begun - asked < (n - ahead) * interval - 0.05]
    late = [f"{begun - asked:.3f}" for begun in times]
    assert not early, " ".join(late)


@pytest.mark.usefixtures("live", "workers")
def test_no_more_than_the_limit_run_at_once_over_all_workers(journal: Journal) -> None:
    enqueue_many((tasks.three_at_once, (str(journal), "x", str(n), 0.01)) for n in range(60))
    wait_drained()
    assert most_at_once(journal.lines) == {"all": 3}
    assert states() == {"SUCCESS": 60}


@pytest.mark.usefixtures("live", "workers")
def test_each_key_has_a_limit_of_its_own(journal: Journal) -> None:
    enqueue_many((tasks.two_of_a_key, (str(journal), f"k{n % 3}", str(n), 0.02)) for n in range(60))
    wait_drained()
    assert most_at_once(journal.lines) == {"k0": 2, "k1": 2, "k2": 2}


@pytest.mark.usefixtures("live", "workers")
def test_tasks_of_one_order_key_run_one_by_one_in_order_after_retries_too(
    journal: Journal,
) -> None:
    chance = random.Random(5)
    enqueue_many(
        (
            tasks.in_order,
            (str(journal), f"k{n % 5}", str(n), 0.0, chance.choice([0, 0, 0, 1, 2])),
        )
        for n in range(200)
    )
    wait_drained()
    assert set(most_at_once(journal.lines).values()) == {1}
    done: dict[str, list[int]] = defaultdict(list)
    for line in journal.lines:
        what, key, name = line.split()
        if what == "done":
            done[key].append(int(name))
    assert done == {f"k{k}": list(range(k, 200, 5)) for k in range(5)}


@pytest.mark.usefixtures("live", "workers")
def test_many_messages_of_a_blocked_key_hold_up_nobody(journal: Journal, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    first = tasks.in_order.delay(str(journal), "k", "first", str(gate))
    journal.wait("begin k first")
    try:
        enqueue_many((tasks.in_order, (str(journal), "k", str(n))) for n in range(5000))
        # Nothing of the key ends before this one has.
        tasks.unlimited.delay(str(journal), "1").get(timeout=PATIENCE)
        assert not first.ready()
        assert Message.objects.filter(state=MessageState.BLOCKED).exists()
        assert journal.lines == ["begin k first", "free all 1"]
        Message.objects.exclude(id=first.key).delete()
    finally:
        gate.touch()
    assert first.get(timeout=PATIENCE) == "first"


@pytest.mark.usefixtures("live", "workers")
def test_a_rate_holds_over_all_workers_and_is_used_up(journal: Journal) -> None:
    asked = time.monotonic()
    enqueue_many((tasks.twenty_a_second, (str(journal), str(n))) for n in range(41))
    wait_drained()
    times = sorted(float(line.split()[0]) for line in journal.lines)
    assert len(times) == 41
    assert_kept(times, asked, interval=0.05)
    # One at each look of a worker at the rates, which is every second, would take forty.
    assert times[-1] - times[0] < 20


@pytest.mark.usefixtures("live", "workers")
def test_a_step_of_a_chain_is_limited_by_what_it_is_given(journal: Journal) -> None:
    chain(tasks.in_order.si(str(journal), "a", "1", 0.3), tasks.unlimited.si(str(journal), "x"))()
    tasks.in_order.delay(str(journal), "a", "2")
    wait_drained()
    assert most_at_once(journal.lines[:4])["a"] == 1


@pytest.mark.usefixtures("live")
def test_kills_exceed_no_limit_and_leave_nobody_blocked(journal: Journal) -> None:
    chance = random.Random(7)
    with ExitStack() as stack:
        crews = [stack.enter_context(WorkerProcess("-c", "3", settings=SETTINGS)) for _ in range(2)]
        enqueue_many(
            (tasks.in_order, (str(journal), f"k{n % 7}", str(n), 0.01)) for n in range(300)
        )
        enqueue_many(
            (tasks.two_of_a_key, (str(journal), f"a{n % 3}", str(n), 0.01)) for n in range(200)
        )
        ends = time.monotonic() + 8
        while time.monotonic() < ends:
            time.sleep(chance.uniform(0.05, 0.4))
            if children := chance.choice(crews).children:
                chance.choice(children).send_signal(signal.SIGKILL)
        crews[0].kill()
        wait_drained()
    done: dict[str, list[int]] = defaultdict(list)
    for line in journal.lines:
        what, key, name = line.split()
        if what == "done" and int(name) not in done[key]:
            done[key].append(int(name))
    lost = TaskResult.objects.filter(task="in_order").exclude(state="SUCCESS")
    assert list(lost.values_list("state", "result")) == []
    assert done == {f"k{k}": list(range(k, 300, 7)) for k in range(7)}
    for key in done:
        # A killed one begins again, and no other before it is done.
        begun = [int(line.split()[2]) for line in journal.lines if line.startswith(f"begin {key} ")]
        assert begun == sorted(begun)
    assert TaskResult.objects.filter(task="two_of_a_key", state="SUCCESS").count() == 200
    eventually(lambda: not Message.objects.exists())
