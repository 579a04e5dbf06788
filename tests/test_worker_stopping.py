"""How a worker ends: what it finishes, what it gives back, and that nothing of it is left."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from djtasks import enqueue_many
from djtasks.exceptions import WorkerLostError
from djtasks.models import Message, TaskResult, Worker
from tests.testapp import tasks
from tests.worker_process import PATIENCE, Journal, WorkerProcess, eventually, states, wait_drained

pytestmark = pytest.mark.usefixtures("live")

POOLS = ("prefork", "threads", "solo")
A_TASK = 60  # seconds of a task that nobody waits for


def wait_idle(worker: WorkerProcess) -> None:
    """Wait until the worker sleeps until it is woken."""
    eventually(
        lambda: Worker.objects.filter(pid=worker.pid, wants_work=True).exists(), "an idle worker"
    )


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_an_idle_worker_is_gone_within_a_second(pool: str, number: signal.Signals) -> None:
    times: list[float] = []
    # On a machine that has other things to do, one of several is soon enough.
    while not times or (times[-1] >= 1.0 and len(times) < 8):
        with WorkerProcess("-P", pool, "-c", "1") as worker:
            wait_idle(worker)
            worker.tree()
            began = time.monotonic()
            status = worker.stop(number)
            times.append(time.monotonic() - began)
            assert status == (1 if number is signal.SIGQUIT else 0)
            assert not worker.left()
        assert not Worker.objects.filter(pid=worker.pid).exists()
    assert min(times) < 1.0


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_warm_stop_finishes_what_runs_and_gives_the_rest_back(
    pool: str, number: signal.Signals, journal: Journal, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with WorkerProcess("-P", pool, "-c", "1") as worker:
        running = tasks.early.delay(str(journal), "running", [f"gate:{gate}"])
        journal.wait("begin running")
        rest = enqueue_many([(tasks.early, (str(journal), f"{n}", ["ok"])) for n in range(20)])
        worker.tree()
        worker.send(number)
        worker.wait_log("Warm shutdown")
        gate.touch()
        assert worker.wait() == 0
        assert not worker.left()
    assert running.state == "SUCCESS"
    assert journal.lines == ["begin running", "end running"]
    left = Message.objects.filter(id__in=[result.id for result in rest])
    assert left.count() == 20
    assert not left.exclude(worker_id=None, deliveries=0, state=0).exists()


def test_what_a_warm_stop_gave_back_was_held_by_the_child(journal: Journal, tmp_path: Path) -> None:
    """The messages behind the long one were in its child already, for it was known to be fast."""
    gate = tmp_path / "gate"
    with WorkerProcess("-c", "1") as worker:
        enqueue_many([(tasks.early, (str(journal), "fast", ["ok"])) for _ in range(100)])
        wait_drained()
        calls = [(tasks.early, (str(journal), f"{n}", ["ok"])) for n in range(50)]
        calls[3] = (tasks.early, (str(journal), "3", [f"gate:{gate}"]))
        enqueue_many(calls)
        journal.wait("begin 3")
        worker.send(signal.SIGTERM)
        worker.wait_log("Warm shutdown")
        gate.touch()
        assert worker.wait() == 0
    ran = journal.tally()
    assert set(ran.values()) == {1, 100}
    assert {"0", "1", "2", "3"} <= set(ran)
    assert len(ran) - 1 + Message.objects.count() == 50
    assert not Message.objects.exclude(worker_id=None, deliveries=0, state=0).exists()
    with WorkerProcess("-c", "1", "--drain", wait=False) as second:
        assert second.wait() == 0
    assert {key: n for key, n in journal.tally().items() if key != "fast"} == {
        f"{n}": 1 for n in range(50)
    }


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_cold_stop_gives_back_what_may_run_again_and_records_the_rest(
    pool: str, journal: Journal
) -> None:
    with WorkerProcess("-P", pool, "-c", "3") as worker:
        early = tasks.early.delay(str(journal), "early", [f"sleep:{A_TASK}"])
        late = tasks.late.delay(str(journal), "late", [f"sleep:{A_TASK}", "ok"])
        atomic = tasks.atomic.delay(str(journal), "atomic", [f"sleep:{A_TASK}", "ok"])
        for key in ("early", "late", "atomic"):
            journal.wait(f"begin {key}")
        unbegun = tasks.early.delay(str(journal), "unbegun", ["ok"])
        worker.tree()
        began = time.monotonic()
        assert worker.stop(signal.SIGQUIT) == 1
        assert time.monotonic() - began < A_TASK / 2
        assert not worker.left()
    assert early.state == "FAILURE"
    assert isinstance(early.result, WorkerLostError)
    back = Message.objects.filter(worker_id=None, state=0, deliveries=0)
    assert set(back.values_list("id", flat=True)) == {late.key, atomic.key, unbegun.key}
    with WorkerProcess("-c", "1", "--drain", wait=False) as second:
        assert second.wait() == 0
    assert journal.tally() == {"early": 1, "late": 2, "atomic": 2, "unbegun": 1}
    assert states() == {"SUCCESS": 3, "FAILURE": 1}
    assert TaskResult.objects.get(id=late.id).deliveries == 0


def test_a_second_interrupt_stops_at_once(journal: Journal) -> None:
    with WorkerProcess("-c", "1") as worker:
        result = tasks.late.delay(str(journal), "x", [f"sleep:{A_TASK}"])
        journal.wait("begin x")
        worker.send(signal.SIGINT)
        worker.wait_log("Warm shutdown")
        began = time.monotonic()
        assert worker.stop(signal.SIGINT) == 1
        assert time.monotonic() - began < A_TASK / 2
        assert not worker.left()
    assert Message.objects.get(id=result.id).worker_id is None


def test_a_soft_shutdown_gives_what_runs_some_time(journal: Journal, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with WorkerProcess("-c", "2", "--soft-shutdown-timeout", "1.5") as worker:
        short = tasks.early.delay(str(journal), "short", [f"gate:{gate}"])
        long = tasks.early.delay(str(journal), "long", [f"sleep:{A_TASK}"])
        journal.wait("begin short")
        journal.wait("begin long")
        began = time.monotonic()
        worker.send(signal.SIGQUIT)
        worker.wait_log("Soft shutdown")
        gate.touch()
        assert worker.wait() == 1
        took = time.monotonic() - began
    assert 1.4 < took < A_TASK / 2
    assert (short.state, long.state) == ("SUCCESS", "FAILURE")


def test_a_soft_shutdown_ends_when_nothing_runs_any_more(journal: Journal, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with WorkerProcess("-c", "1", "--soft-shutdown-timeout", str(A_TASK)) as worker:
        short = tasks.early.delay(str(journal), "short", [f"gate:{gate}"])
        journal.wait("begin short")
        worker.send(signal.SIGQUIT)
        worker.wait_log("Soft shutdown")
        gate.touch()
        began = time.monotonic()
        worker.wait()
        assert time.monotonic() - began < A_TASK / 2
    assert short.state == "SUCCESS"


def test_term_can_be_made_to_mean_quit(journal: Journal) -> None:
    with WorkerProcess("-c", "1", env={"REMAP_SIGTERM": "SIGQUIT"}) as worker:
        tasks.late.delay(str(journal), "x", [f"sleep:{A_TASK}"])
        journal.wait("begin x")
        assert worker.stop(signal.SIGTERM) == 1


def test_signals_to_the_whole_group_do_not_reach_tasks(journal: Journal, tmp_path: Path) -> None:
    """A terminal sends Ctrl-C to every process of the group; systemd sends TERM to all of them."""
    gate = tmp_path / "gate"
    with WorkerProcess("-c", "1") as worker:
        result = tasks.early.delay(str(journal), "x", [f"gate:{gate}"])
        journal.wait("begin x")
        for process in worker.tree():
            process.send_signal(signal.SIGTERM)
        worker.wait_log("Warm shutdown")
        gate.touch()
        assert worker.wait() == 0
    assert result.state == "SUCCESS"


@pytest.mark.parametrize("pool", POOLS)
def test_usr1_prints_the_stacks_of_all_processes(
    pool: str, journal: Journal, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with WorkerProcess("-P", pool, "-c", "1") as worker:
        result = tasks.early.delay(str(journal), "x", [f"gate:{gate}"])
        journal.wait("begin x")
        worker.send(signal.SIGUSR1)
        worker.wait_log(r'File ".*tests/testapp/tasks\.py", line \d+ in perform')
        worker.wait_log(r"in (_rest|select|run_forever|_run_once|serve)")
        gate.touch()
        assert result.get(PATIENCE) == "x"
