"""Unique tasks and real workers: claimed, retried, killed and delivered again, they are one."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter as Tally
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from djtasks import AsyncResult, states
from djtasks.models import Message, TaskResult, UniqueKey
from tests.test_unique_races import one_message_a_key
from tests.test_unique_sweeping import sweep
from tests.testapp.models import Counter
from tests.testapp.tasks import add
from tests.testapp.unique_tasks import again, alone, latest, once, sync, wait_for
from tests.unique_caller import caller
from tests.worker_process import Journal, WorkerProcess, wait_drained

pytestmark = pytest.mark.usefixtures("live")

UNIQUE_TASKS = {"IMPORTS": ["tests.testapp.unique_tasks"]}


def test_a_task_whose_worker_was_killed_is_unique_until_its_second_run_has_ended(
    journal: Journal, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"

    def call() -> AsyncResult[Any]:
        return wait_for.delay("a", str(journal), str(gate))

    with WorkerProcess("-c", "1", settings=UNIQUE_TASKS) as worker:
        first = call()
        journal.wait("begin a")
        assert call() == first
        worker.kill()
        assert call() == first
    with WorkerProcess("-c", "1", settings=UNIQUE_TASKS):
        journal.wait("begin a", 2)
        assert call() == first
        gate.touch()
        assert first.get(timeout=60) == "a"
        second = call()
        assert second != first
        assert second.get(timeout=60) == "a"
    assert journal.tally() == {"a": 3}


def test_retries_and_replacing_calls_meet_workers() -> None:
    with WorkerProcess("-c", "2", settings=UNIQUE_TASKS):
        for turn in range(20):
            first = again.delay(f"retried {turn}", times=3)
            others = {again.delay(f"retried {turn}", times=3) for _ in range(5)}
            handles = [latest.delay(f"replaced {turn}", str(n)) for n in range(10)]
            queued = [sync.delay(turn, str(n)) for n in range(10)]
            wait_drained()
            for result in {first, *others}:
                assert result.get(timeout=0) == 3
            ends = [handle.state for handle in handles]
            assert set(ends) <= {states.SUCCESS, states.REVOKED}
            assert ends[-1] == states.SUCCESS
            assert {result.state for result in queued} == {states.SUCCESS}
        assert not Message.objects.exists()


def test_links_of_tasks_that_end_together_are_one() -> None:
    with WorkerProcess("-c", "2", "-Q", "first", settings=UNIQUE_TASKS):
        before = [
            add.apply_async((1, 1), queue="first", link=[once.si(str(n % 3)), latest.si("x")])
            for n in range(30)
        ]
        assert {result.get(timeout=60) for result in before} == {2}
    assert Message.objects.count() == 4
    assert Tally(TaskResult.objects.values_list("state", flat=True)) == {
        "SUCCESS": 30,
        "REVOKED": 56,
    }


def test_random_kills_of_workers_and_callers_leave_one_of_each_key_and_none_for_ever() -> None:
    """What there is at once is counted by the tasks in a table, and refused by an index."""
    chance = random.Random(3)
    kinds = 5
    options = ("-c", "2", "-l", "ERROR")
    over = threading.Event()
    kills: list[int] = []

    def live_and_die(place: int) -> None:
        """Keep a worker, another one after each death."""
        own = random.Random(place)
        while not over.is_set():
            with WorkerProcess(*options, settings=UNIQUE_TASKS) as worker:
                over.wait(own.uniform(1.0, 3.0))
                if over.is_set():
                    return
                worker.kill()
                kills.append(place)

    with one_message_a_key(alone):
        threads = [threading.Thread(target=live_and_die, args=(place,)) for place in range(2)]
        for thread in threads:
            thread.start()
        try:
            deadline = time.monotonic() + 120
            callers = 0
            # However long processes take to start: so many of each have died at their work.
            while callers < 6 or len(kills) < 5:
                assert time.monotonic() < deadline, (callers, kills)
                callers += 1
                with caller("storm", 600, callers, "alone", kinds) as process:
                    assert process.stdout
                    assert process.stdout.readline() == "calling\n"
                    time.sleep(chance.uniform(0.5, 1.5))
                    assert process.poll() is None, "a call was refused"
                    process.kill()
                    process.wait()
        finally:
            over.set()
            for thread in threads:
                thread.join()
                connections.close_all()
        with WorkerProcess(*options, settings=UNIQUE_TASKS):
            wait_drained()
            last = [alone.delay(str(n)) for n in range(kinds)]
            assert [result.get(timeout=60) for result in last] == [1] * kinds
            wait_drained()
    counted = dict(Counter.objects.filter(name__startswith="alone").values_list("name", "value"))
    assert counted == {f"alone {n}": 1 for n in range(kinds)}
    # A worker may have swept some of them already.
    assert UniqueKey.objects.count() <= kinds
    sweep()
    assert not UniqueKey.objects.exists()
