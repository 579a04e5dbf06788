"""What workers are told through their rows, and what they say of themselves there."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from djtasks import AsyncResult, ResultSet, chain, control, enqueue_many
from djtasks.control.workers import notify
from djtasks.exceptions import TaskRevokedError
from djtasks.models import Message, TaskResult, Worker
from djtasks.worker.orders import Orders
from djtasks.worker.terminations import KILL_AFTER
from tests.testapp import order_tasks, tasks, unrecalled_tasks
from tests.testapp.models import Note
from tests.worker_process import (
    RARE_BEATS,
    SOUND_SLEEP,
    Journal,
    WorkerProcess,
    eventually,
    states,
    wait_drained,
)

KNOWS = {"IMPORTS": ["tests.testapp.order_tasks"]}
WOKEN: dict[str, Any] = {"IMPORTS": ["tests.testapp.order_tasks", SOUND_SLEEP], **RARE_BEATS}
DEAF = {"IMPORTS": ["tests.testapp.unrecalled_tasks"]}
A_WHILE = 1.0  # seconds in which a worker would have taken what it may


@pytest.fixture(scope="module")
def worker(live_database: None) -> Iterator[WorkerProcess]:
    """Two children that serve the queue ``shared``, and one message each at a time.

    Nothing but what they are told moves them: what they do, they do at once.
    """
    with WorkerProcess("-c", "2", "-Q", "shared", "--prefetch", "1", settings=WOKEN) as worker:
        yield worker


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """A file that lets waiting tasks end; it is there after the test, whatever became of it."""
    gate = tmp_path / "gate"
    yield gate
    gate.touch()


def row(worker: WorkerProcess) -> Worker:
    return Worker.objects.get(pid=worker.pid)


def shown(worker: WorkerProcess) -> list[dict[str, Any]]:
    running = row(worker).running
    return list(json.loads(running)) if running else []


def wait(
    journal: Journal, key: str, gate: Path, task: str = "wait_for", queue: str = "shared"
) -> AsyncResult[str]:
    """Have a task wait, and wait for its beginning."""
    result: AsyncResult[str] = getattr(order_tasks, task).apply_async(
        (str(journal), key, str(gate)), queue=queue
    )
    journal.wait(f"begin {key}")
    return result


# --- reading orders --------------------------------------------------------------------------


def test_orders_are_read() -> None:
    id = "0193" * 8
    text = json.dumps({"quiet": False, "stop": True, "terminate": {id: "SIGKILL"}})
    assert Orders.parse(text) == Orders(False, True, {bytes.fromhex(id): signal.SIGKILL})
    assert Orders.parse("{}") == Orders()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "quiet",
        "[]",
        "null",
        "7",
        '{"terminate": 1}',
        '{"terminate": [1]}',
        '{"terminate": {"x": "SIGTERM"}}',
        '{"terminate": {"00": "SIGSOON"}}',
        '{"terminate": {"00": 9}}',
    ],
)
def test_orders_that_cannot_be_read_are_none_and_are_told_of(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert Orders.parse(text) == Orders()
    assert "orders of this worker cannot be read" in caplog.text


def test_only_what_a_worker_is_made_to_be_stays_in_its_row() -> None:
    assert Orders.parse('{"terminate": {"00": "SIGTERM"}, "quiet": false}').standing == ""
    assert Orders.parse('{"quiet": true, "stop": true}').standing == '{"quiet":true,"stop":true}'


# --- quiet -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("live")
def test_a_quiet_worker_claims_nothing_more_and_runs_on(
    worker: WorkerProcess, journal: Journal, gate: Path
) -> None:
    running = wait(journal, "running", gate)
    assert control.quiet([row(worker).id]).done == 1
    eventually(lambda: row(worker).quiet)
    tasks.add.apply_async((1, 2), queue="shared")
    time.sleep(A_WHILE)
    assert Message.objects.filter(worker_id__isnull=True).count() == 1
    assert not row(worker).wants_work, "callers would wake it in vain"
    gate.touch()
    assert running.get(timeout=60) == "running"
    assert Message.objects.filter(worker_id__isnull=True).count() == 1

    control.unquiet([row(worker).id])
    wait_drained()
    eventually(lambda: not row(worker).quiet)
    eventually(lambda: row(worker).wants_work, "it to ask to be woken")
    tasks.add.apply_async((1, 2), queue="shared").get(timeout=60)


@pytest.mark.usefixtures("live")
def test_a_quiet_worker_rests(worker: WorkerProcess) -> None:
    control.quiet([row(worker).id])
    eventually(lambda: row(worker).quiet)
    enqueue_many(tasks.add.s(n, 1).set(queue="shared") for n in range(100))
    parent = psutil.Process(worker.pid)
    before = sum(parent.cpu_times()[:2])
    time.sleep(2)
    assert sum(parent.cpu_times()[:2]) - before < 0.5
    control.unquiet([row(worker).id])
    wait_drained()


@pytest.mark.usefixtures("live")
def test_a_worker_that_was_given_up_stays_quiet_under_its_new_id() -> None:
    with WorkerProcess("-c", "1", "-Q", "own") as worker:
        before = row(worker)
        control.quiet([before.id])
        eventually(lambda: row(worker).quiet)
        before.delete()
        # It learns of it at its next heartbeat.
        after = eventually(lambda: Worker.objects.filter(pid=worker.pid).first())
        assert after
        assert after.id != before.id
        assert after.quiet
        control.unquiet([after.id])
        eventually(lambda: not row(worker).quiet)


# --- stop ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_worker_that_is_told_to_stop_finishes_what_it_runs(
    pool: str, journal: Journal, gate: Path
) -> None:
    with WorkerProcess("-c", "1", "-P", pool, "-Q", "own", settings=WOKEN) as worker:
        running = wait(journal, "running", gate, queue="own")
        tasks.add.apply_async((1, 2), queue="own")
        control.stop([row(worker).id])
        worker.wait_log("Warm shutdown")
        assert worker.status is None
        gate.touch()
        assert worker.wait() == 0
    assert running.get(timeout=1) == "running"
    assert not Worker.objects.filter(pid=worker.pid).exists()


@pytest.mark.usefixtures("live")
def test_orders_reach_a_worker_that_cannot_listen() -> None:
    with WorkerProcess("-c", "1", settings={"LISTEN": False}) as worker:
        control.quiet([row(worker).id])
        eventually(lambda: row(worker).quiet)
        control.stop([row(worker).id])
        assert worker.wait() == 0


@pytest.mark.usefixtures("live")
def test_orders_are_for_one_worker(worker: WorkerProcess) -> None:
    with WorkerProcess("-c", "1", "-Q", "else") as other:
        control.stop([row(other).id])
        assert other.wait() == 0
    assert worker.status is None
    assert not row(worker).quiet


# --- terminate -------------------------------------------------------------------------------


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGQUIT", "SIGINT", "SIGHUP", "SIGABRT"])
def test_a_terminated_task_loses_its_process_and_is_revoked(
    worker: WorkerProcess, journal: Journal, gate: Path, name: str
) -> None:
    result = wait(journal, "victim", gate)
    children = {child.pid for child in worker.children}
    assert control.terminate([result.id], signal=name).done == 1
    with pytest.raises(TaskRevokedError, match="terminated"):
        result.get(timeout=60)
    stored = TaskResult.objects.get()
    assert (stored.state, stored.exception, stored.retries) == ("REVOKED", "TaskRevokedError", 0)
    assert stored.runtime
    number = int(signal.Signals[name])
    arguments = [str(journal), "victim", str(gate)]
    assert [note.text for note in Note.objects.all()] == [
        f"revoked wait_for {result.id} {arguments} True {number} False"
    ]
    assert journal.lines == ["begin victim"]
    eventually(lambda: len(children - {child.pid for child in worker.children}) == 1)
    eventually(lambda: len(worker.children) == 2)
    eventually(lambda: row(worker).orders == "", "the order to be taken away")


@pytest.mark.usefixtures("live")
def test_a_handle_can_end_what_runs_and_what_waits(
    worker: WorkerProcess, journal: Journal, gate: Path
) -> None:
    running = wait(journal, "victim", gate)
    later = order_tasks.wait_for.apply_async(
        (str(journal), "later", str(gate)), queue="shared", countdown=3600
    )
    both = ResultSet([running, later])
    both.revoke()
    assert (running.ready(), later.state) == (False, "REVOKED")
    both.revoke(terminate=True, signal="KILL")
    with pytest.raises(TaskRevokedError, match="terminated"):
        running.get(timeout=60)
    assert journal.lines == ["begin victim"]


@pytest.mark.usefixtures("live")
def test_what_takes_no_notice_of_a_signal_is_killed(
    worker: WorkerProcess, journal: Journal, gate: Path
) -> None:
    result = wait(journal, "victim", gate, "wait_stubbornly")
    control.terminate([result.id])
    with pytest.raises(TaskRevokedError):
        result.get(timeout=60)
    assert states() == {"REVOKED": 1}
    # It was given time to end by itself.
    runtime = TaskResult.objects.get().runtime
    assert runtime
    assert runtime >= KILL_AFTER


@pytest.mark.usefixtures("live")
def test_a_signal_to_the_whole_group_ends_no_task(
    worker: WorkerProcess, journal: Journal, gate: Path
) -> None:
    result = wait(journal, "spared", gate)
    for child in worker.children:
        child.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    gate.touch()
    assert result.get(timeout=60) == "spared"


@pytest.mark.usefixtures("live")
def test_an_atomic_task_that_is_terminated_leaves_nothing(
    worker: WorkerProcess, journal: Journal, gate: Path
) -> None:
    result = wait(journal, "victim", gate, "wait_atomically")
    control.terminate([result.id])
    with pytest.raises(TaskRevokedError):
        result.get(timeout=60)
    assert not Note.objects.filter(text="victim").exists()


@pytest.mark.usefixtures("live")
def test_what_waits_for_a_terminated_task_ends_with_it(
    worker: WorkerProcess, journal: Journal, gate: Path
) -> None:
    first = order_tasks.wait_for.si(str(journal), "victim", str(gate)).set(queue="shared")
    last = chain(first, tasks.record.si("after").set(queue="shared")).delay()
    journal.wait("begin victim")
    assert last.parent
    control.terminate([last.parent.id])
    with pytest.raises(TaskRevokedError):
        last.get(timeout=60)
    assert states() == {"REVOKED": 2}
    assert not Note.objects.filter(text="after").exists()


@pytest.mark.usefixtures("live")
def test_the_rest_of_the_chunk_of_a_terminated_task_is_run_uncharged(
    journal: Journal, gate: Path
) -> None:
    with WorkerProcess("-c", "1", "-Q", "alone", "--prefetch", "8", settings=KNOWS) as worker:
        victim = order_tasks.wait_for.s(str(journal), "victim", str(gate))
        others = [tasks.add.s(n, 1).set(queue="alone") for n in range(5)]
        results = enqueue_many([victim.set(queue="alone"), *others])
        journal.wait("begin victim")
        control.terminate([results[0].id])
        wait_drained()
        assert worker.status is None
    assert states() == {"REVOKED": 1, "SUCCESS": 5}
    assert not TaskResult.objects.filter(deliveries__gt=0).exists()


@pytest.mark.usefixtures("live")
def test_a_task_that_was_handed_out_and_has_not_begun_never_begins(
    journal: Journal, gate: Path
) -> None:
    recall = gate.with_name("recall")
    with WorkerProcess("-c", "1", "-Q", "alone", "--prefetch", "8", settings=DEAF) as worker:
        calls = [
            unrecalled_tasks.wait_unrecalled.s(str(journal), key, str(recall), str(gate))
            for key in ("first", "second")
        ]
        _first, second = enqueue_many([call.set(queue="alone") for call in calls])
        try:
            journal.wait("begin first")
            assert Message.objects.filter(id=second.id, worker_id__isnull=False).exists()
            Worker.objects.update(orders=json.dumps({"terminate": {second.id: "SIGTERM"}}))
            eventually(lambda: row(worker).orders == "", "the order to be taken away")
        finally:
            recall.touch()
            gate.touch()
        wait_drained()
    assert journal.count("begin second") == 0
    assert journal.count("end first") == 1
    assert states() == {"SUCCESS": 1, "REVOKED": 1}


@pytest.mark.usefixtures("live")
def test_what_has_ended_is_not_terminated(worker: WorkerProcess) -> None:
    result = tasks.add.apply_async((1, 2), queue="shared")
    result.get(timeout=60)
    children = {child.pid for child in worker.children}
    Worker.objects.filter(pid=worker.pid).update(
        orders=json.dumps({"terminate": {result.id: "SIGKILL"}})
    )
    notify([row(worker).id], "default")
    eventually(lambda: row(worker).orders == "", "the order to be taken away")
    assert {child.pid for child in worker.children} == children
    assert states() == {"SUCCESS": 1}


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_without_processes_a_task_that_does_not_look_goes_on(
    pool: str, journal: Journal, gate: Path
) -> None:
    with WorkerProcess("-c", "1", "-P", pool, "-Q", "own", settings=KNOWS) as worker:
        result = wait(journal, "spared", gate, queue="own")
        assert control.terminate([result.id]).done == 1
        eventually(lambda: row(worker).orders == "")
        gate.touch()
        assert result.get(timeout=60) == "spared"


@pytest.mark.usefixtures("live")
def test_a_cold_shutdown_ends_a_terminated_task_as_revoked(journal: Journal, gate: Path) -> None:
    with WorkerProcess("-c", "1", "-Q", "own", settings=KNOWS) as worker:
        result = wait(journal, "victim", gate, "wait_stubbornly", "own")
        control.terminate([result.id])
        eventually(lambda: row(worker).orders == "")
        assert worker.stop(signal.SIGQUIT) == 1
    assert states() == {"REVOKED": 1}


# --- what a worker says of itself ------------------------------------------------------------


@pytest.mark.usefixtures("live")
def test_a_worker_names_what_has_run_for_a_second(
    worker: WorkerProcess, journal: Journal, gate: Path
) -> None:
    began = time.time()
    result = wait(journal, "long", gate)
    noted = time.time()
    (entry,) = eventually(lambda: shown(worker))
    assert entry["id"] == result.id.replace("-", "")
    assert entry["task"] == "wait_for"
    # Clocks of two processes, and a board that is read in two steps.
    assert began - 0.1 < entry["since"] < noted + 0.1
    assert entry["slot"] in (0, 1)
    assert entry["pid"] in {child.pid for child in worker.children}
    eventually(lambda: row(worker).busy == 1)
    gate.touch()
    result.get(timeout=60)
    eventually(lambda: not shown(worker))
    eventually(lambda: row(worker).busy == 0)


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize(("pool", "places"), [("threads", 3), ("solo", 1)])
def test_every_pool_names_what_it_runs(
    pool: str, places: int, journal: Journal, gate: Path
) -> None:
    options = ("-c", str(places), "-P", pool, "-Q", "own")
    with WorkerProcess(*options, settings=KNOWS) as worker:
        results = [wait(journal, str(n), gate, queue="own") for n in range(places)]
        entries = eventually(lambda: len(shown(worker)) == places and shown(worker))
        assert entries
        assert {entry["id"] for entry in entries} == {r.id.replace("-", "") for r in results}
        assert {entry["slot"] for entry in entries} == set(range(places))
        pids = {worker.pid} if pool == "solo" else {child.pid for child in worker.children}
        assert {entry["pid"] for entry in entries} == pids
        gate.touch()
        wait_drained()


@pytest.mark.usefixtures("live")
def test_a_worker_says_how_much_memory_it_holds(worker: WorkerProcess) -> None:
    memory = eventually(lambda: row(worker).memory)
    assert memory
    sizes = [process.memory_info().rss for process in worker.tree()]
    assert len(sizes) == 4
    # Shared pages count once: more than the largest of them, less than all together.
    assert max(sizes) * 0.5 < memory < sum(sizes) * 1.5


def test_memory_of_processes_that_have_ended_is_nothing() -> None:
    from djtasks.worker.memory import held_by

    assert held_by([os.getpid()])
    assert held_by([2**22 + 1]) is None
    ours = held_by([os.getpid(), 2**22 + 1])
    assert ours
    assert ours > 10_000_000
