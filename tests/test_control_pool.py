"""Workers that are told to run more or fewer tasks at once, and to serve other queues."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from djtasks import app
from djtasks.models import Message, Question, Worker
from tests.testapp import tasks
from tests.worker_process import SOUND_SLEEP, Journal, WorkerProcess, eventually

pytestmark = pytest.mark.usefixtures("live")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    gate = tmp_path / "gate"
    yield gate
    gate.touch()


def children(worker: WorkerProcess) -> int:
    return len(worker.children)


def at_once(journal: Journal, number: int, gate: Path, queue: str = "celery") -> Callable[[], bool]:
    for n in range(number + 3):
        tasks.early.apply_async((str(journal), f"{n}", [f"hold:{gate}"]), queue=queue)
    return lambda: len(journal.tally("held")) == number


def test_a_pool_of_processes_grows_and_shrinks(journal: Journal, gate: Path) -> None:
    with WorkerProcess("-c", "1", "-n", "pool@here") as worker:
        replies = app.control.pool_grow(2, ["pool@here"], reply=True, timeout=60)
        assert replies == [{"pool@here": {"ok": "pool will grow"}}]
        eventually(lambda: children(worker) == 3)
        eventually(lambda: Worker.objects.get(pid=worker.pid).concurrency == 3)
        full = at_once(journal, 3, gate)
        eventually(full)
        app.control.pool_shrink(2, ["pool@here"], reply=True, timeout=60)
        assert full(), "what runs is finished"
        gate.touch()
        eventually(lambda: not Message.objects.exists())
        eventually(lambda: children(worker) == 1)
        assert tasks.add.delay(1, 2).get(timeout=60) == 3
        assert sum(journal.tally("begin").values()) == 6
        before = {child.pid for child in worker.children}
        app.control.pool_restart(destination=["pool@here"], reply=True, timeout=60)
        eventually(lambda: children(worker) == 1 and {c.pid for c in worker.children} != before)
        assert tasks.add.delay(1, 2).get(timeout=60) == 3
        refused = app.control.pool_shrink(1, reply=True, timeout=60)
        assert refused is not None
        assert "1 to 1024" in refused[0]["pool@here"]["error"]


def test_a_pool_of_threads_grows_and_shrinks(journal: Journal, gate: Path) -> None:
    with WorkerProcess("-P", "threads", "-c", "1", "--prefetch", "1"):
        app.control.pool_grow(2, reply=True, timeout=60)
        eventually(at_once(journal, 3, gate))
        app.control.pool_shrink(2, reply=True, timeout=60)
        gate.touch()
        eventually(lambda: not Message.objects.exists())
        assert sum(journal.tally("begin").values()) == 6
        journal.path.unlink()
        gate.unlink()
        eventually(at_once(journal, 1, gate))
        time.sleep(0.5)
        assert len(journal.tally("held")) == 1
        app.control.pool_restart(reply=True, timeout=60)
        gate.touch()
        eventually(lambda: not Message.objects.exists())
        assert set(journal.tally("begin").values()) == {1}


def test_a_worker_serves_queues_that_it_is_told_to() -> None:
    with WorkerProcess(
        *("-c", "1", "-Q", "first", "-n", "served@here"), settings={"IMPORTS": [SOUND_SLEEP]}
    ) as worker:
        waits = tasks.add.apply_async((1, 2), queue="second")
        replies = app.control.add_consumer(
            "second", destination=["served@here"], reply=True, timeout=60
        )
        assert replies == [{"served@here": {"ok": "add consumer second"}}]
        assert waits.get(timeout=60) == 3
        eventually(lambda: Worker.objects.get(pid=worker.pid).queues == ["first", "second"])
        # It is woken for it.
        assert tasks.add.apply_async((1, 3), queue="second").get(timeout=60) == 4
        app.control.cancel_consumer("second", destination="served@here", reply=True, timeout=60)
        waits = tasks.add.apply_async((1, 2), queue="second")
        assert tasks.add.apply_async((1, 2), queue="first").get(timeout=60) == 3
        assert waits.state == "PENDING"


def test_a_worker_for_all_queues_leaves_one_out_that_it_is_told_to() -> None:
    with WorkerProcess("-c", "1"):
        tasks.add.apply_async((1, 2), queue="second").get(timeout=60)
        app.control.cancel_consumer("second", reply=True, timeout=60)
        waits = tasks.add.apply_async((1, 2), queue="second")
        assert tasks.add.apply_async((1, 2), queue="first").get(timeout=60) == 3
        assert waits.state == "PENDING"
        app.control.add_consumer("second", reply=True, timeout=60)
        assert waits.get(timeout=60) == 3


def test_an_order_stands_until_the_worker_obeys_it() -> None:
    with WorkerProcess("-c", "1", "-n", "late@here") as worker:
        worker.send(signal.SIGSTOP)
        try:
            replies = app.control.pool_grow(1, reply=True, timeout=0.2)
            assert replies is not None
            assert (list(replies), replies.missing) == ([], ("late@here",))
            assert app.control.pool_grow(1) is None
        finally:
            worker.send(signal.SIGCONT)
        eventually(lambda: children(worker) == 3)
        eventually(lambda: not Question.objects.exists())


def test_a_worker_is_shut_down() -> None:
    with WorkerProcess("-c", "1", "-n", "end@here") as worker:
        assert app.control.shutdown(["end@here"], reply=True, timeout=60) == [
            {"end@here": {"ok": "shutting down"}}
        ]
        assert worker.wait() == 0


# --- scaling ---------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_worker_scales_with_what_there_is_to_do(pool: str, journal: Journal, gate: Path) -> None:
    with WorkerProcess(
        *("--autoscale", "4,1", "-P", pool, "--prefetch", "1", "-n", "scaled@here"),
        env={"AUTOSCALE_KEEPALIVE": "1"},
    ) as worker:
        assert "1 to 4 at once" in worker.log

        def size() -> int:
            return Worker.objects.get(pid=worker.pid).concurrency

        assert size() == 1
        eventually(at_once(journal, 4, gate))
        eventually(lambda: size() == 4)
        gate.touch()
        eventually(lambda: not Message.objects.exists())
        eventually(lambda: size() == 1)
        if pool == "prefork":
            eventually(lambda: children(worker) == 1)
        replies = app.control.autoscale(3, 2, reply=True, timeout=60)
        assert replies == [{"scaled@here": {"ok": "autoscale now max=3 min=2"}}]
        eventually(lambda: size() == 2)
        refused = app.control.autoscale(1, 2, reply=True, timeout=60)
        assert refused is not None
        assert "the most first" in refused[0]["scaled@here"]["error"]
        assert tasks.add.delay(1, 2).get(timeout=60) == 3
