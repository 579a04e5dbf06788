"""What becomes of a message whose task, child, worker or machine dies: the acknowledgement table.

Runs are counted in a journal, which survives everything; effects in rows.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from djtasks import AsyncResult, enqueue_many
from djtasks.exceptions import MaxRetriesExceededError, WorkerLostError
from djtasks.models import Message, TaskResult, Worker
from tests.testapp import tasks
from tests.testapp.models import Note
from tests.worker_process import PATIENCE, Journal, WorkerProcess, eventually, states, wait_drained

pytestmark = pytest.mark.usefixtures("live")

SHORT = {"LEASE": 2.0, "HEARTBEAT_INTERVAL": 0.5}
RESCUE = 30.0  # seconds: a lease of 5, and what a busy machine adds; the tasks would take 60


@pytest.fixture(scope="module")
def worker(live_database: None) -> Iterator[WorkerProcess]:
    """One child that serves the queue ``shared``."""
    with WorkerProcess("-c", "1", "-Q", "shared") as worker:
        yield worker


def effects(key: str) -> int:
    return Note.objects.filter(text=key).count()


def send(task: str, journal: Journal, key: str, *acts: str, queue: str = "own") -> AsyncResult[str]:
    result: AsyncResult[str] = getattr(tasks, task).apply_async(
        (str(journal), key, list(acts)), queue=queue
    )
    return result


# --- the child dies while the task runs ------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "runs", "rows", "state"),
    [
        ("early", 1, 1, "FAILURE"),
        ("late", 1, 1, "FAILURE"),
        ("late_reject", 2, 2, "SUCCESS"),
        ("early_retry", 2, 2, "SUCCESS"),
        ("atomic", 2, 1, "SUCCESS"),
    ],
)
@pytest.mark.parametrize("death", ["kill", "_exit", "exit"])
def test_a_child_that_dies_while_its_task_runs(
    worker: WorkerProcess,
    journal: Journal,
    death: str,
    task: str,
    runs: int,
    rows: int,
    state: str,
) -> None:
    result = send(task, journal, "x", death, "ok", queue="shared")
    if state == "SUCCESS":
        assert result.get(PATIENCE) == "x"
    else:
        with pytest.raises(WorkerLostError):
            result.get(PATIENCE)
    wait_drained()
    assert journal.tally() == {"x": runs}
    assert effects("x") == rows
    assert result.state == state


def test_the_text_of_a_loss_names_the_signal(worker: WorkerProcess, journal: Journal) -> None:
    result = send("early", journal, "x", "kill", queue="shared")
    with pytest.raises(WorkerLostError, match=r"signal 9 \(SIGKILL\)"):
        result.get(PATIENCE)


def test_retries_after_a_loss_are_counted(worker: WorkerProcess, journal: Journal) -> None:
    result = send("early_retry", journal, "x", "kill", queue="shared")
    with pytest.raises((WorkerLostError, MaxRetriesExceededError)):
        result.get(PATIENCE)
    assert journal.tally() == {"x": 2}


@pytest.mark.parametrize("death", ["kill", "exit"])
@pytest.mark.parametrize("task", ["late_reject", "atomic"])
def test_a_message_that_kills_every_child_is_given_up(
    worker: WorkerProcess, journal: Journal, task: str, death: str
) -> None:
    result = send(task, journal, "poison", death, queue="shared")
    with pytest.raises(WorkerLostError):
        result.get(PATIENCE)
    assert journal.tally() == {"poison": 5}
    assert effects("poison") == (5 if task == "late_reject" else 0)
    assert send("early", journal, "next", "ok", queue="shared").get(PATIENCE) == "next"


def test_only_the_message_that_ran_is_charged_and_the_others_run(
    worker: WorkerProcess, journal: Journal
) -> None:
    # The child is known to be fast, so that it holds many messages when it dies.
    enqueue_many([tasks.add.s(1, 1).set(queue="shared") for _ in range(50)])
    wait_drained()
    calls = [
        tasks.early.s(str(journal), f"{n}", ["kill" if n == 30 else "ok"]).set(queue="shared")
        for n in range(100)
    ]
    results = enqueue_many(calls)
    wait_drained()
    assert journal.tally() == {f"{n}": 1 for n in range(100)}
    assert states(result.id for result in results) == {"SUCCESS": 99, "FAILURE": 1}
    assert results[30].state == "FAILURE"
    assert not TaskResult.objects.exclude(id=results[30].id).filter(deliveries__gt=0).exists()


def test_a_child_that_is_killed_while_idle_is_replaced(
    worker: WorkerProcess, journal: Journal
) -> None:
    eventually(lambda: worker.children, "a child")[0].kill()
    assert send("early", journal, "x", "ok", queue="shared").get(PATIENCE) == "x"


def test_the_process_that_starts_children_is_replaced(
    worker: WorkerProcess, journal: Journal
) -> None:
    children = eventually(lambda: worker.children, "a child")
    forker = worker.forker
    forker.kill()
    psutil.wait_procs(children, timeout=PATIENCE)
    assert not any(child.is_running() for child in children)
    assert send("early", journal, "x", "ok", queue="shared").get(PATIENCE) == "x"
    assert worker.forker != forker


@pytest.mark.parametrize(("task", "runs"), [("early", 1), ("late_reject", 2)])
def test_the_forker_dies_while_a_task_runs(
    worker: WorkerProcess, journal: Journal, task: str, runs: int
) -> None:
    result = send(task, journal, "x", "sleep:60", "ok", queue="shared")
    journal.wait("begin x")
    worker.forker.kill()
    eventually(result.ready, "the end of the task")
    assert journal.tally() == {"x": runs}
    assert result.state == ("FAILURE" if runs == 1 else "SUCCESS")


# --- the whole worker dies -------------------------------------------------------------------


@pytest.mark.parametrize("how", ["parent", "tree"])
def test_a_worker_that_dies_is_rescued_by_another(journal: Journal, how: str) -> None:
    kinds = {"early": (1, 1), "late": (2, 2), "atomic": (2, 1), "early_retry": (2, 2)}
    with WorkerProcess("-c", "4", "-Q", "own") as first:
        results = {kind: send(kind, journal, kind, "sleep:60", "ok") for kind in kinds}
        for kind in kinds:
            journal.wait(f"held {kind}")
        children = first.children
        assert len(children) == 4
        if how == "tree":
            first.kill()
        else:
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
        gone = psutil.wait_procs(children, timeout=PATIENCE / 2)[1]
        assert not gone, "children outlived their parent"
    with WorkerProcess("-c", "2", "-Q", "own"):
        began = time.monotonic()
        eventually(lambda: all(r.ready() for r in results.values()), "the rescue")
        took = time.monotonic() - began
    assert took < RESCUE
    assert journal.tally() == {kind: runs for kind, (runs, _rows) in kinds.items()}
    assert {kind: effects(kind) for kind in kinds} == {k: rows for k, (_, rows) in kinds.items()}
    assert isinstance(results["early"].result, WorkerLostError)
    assert {kind: r.state for kind, r in results.items()} == {
        "early": "FAILURE",
        "late": "SUCCESS",
        "atomic": "SUCCESS",
        "early_retry": "SUCCESS",
    }
    assert TaskResult.objects.get(id=results["late"].id).deliveries == 1
    assert not Worker.objects.filter(pid=first.pid).exists()


def test_what_a_dead_worker_had_not_claimed_is_run_at_once(journal: Journal) -> None:
    with WorkerProcess("-c", "1", "-Q", "own", "--prefetch", "1") as first:
        send("early", journal, "running", "sleep:60")
        journal.wait("begin running")
        waiting = [send("early", journal, f"{n}", "ok") for n in range(5)]
        first.kill()
    with WorkerProcess("-c", "1", "-Q", "own"):
        assert [result.get(PATIENCE) for result in waiting] == [f"{n}" for n in range(5)]
        wait_drained()
    assert journal.tally() == {"running": 1, **{f"{n}": 1 for n in range(5)}}


def test_a_message_that_kills_whole_workers_is_given_up(journal: Journal) -> None:
    result: AsyncResult[str] = tasks.late.apply_async(
        (str(journal), "x", ["sleep:60"]), queue="own"
    )
    Message.objects.filter(id=result.id).update(deliveries=4)
    with WorkerProcess("-c", "1", "-Q", "own") as first:
        journal.wait("begin x")
        first.kill()
    with WorkerProcess("-c", "1", "-Q", "own"), pytest.raises(WorkerLostError, match="5 times"):
        result.get(PATIENCE)
    assert journal.tally() == {"x": 1}


def test_a_worker_that_stood_still_does_not_run_what_others_took(journal: Journal) -> None:
    """It is stopped with all its processes, rescued by another, and then goes on."""
    with WorkerProcess("-c", "1", "-Q", "own", settings=SHORT) as first:
        early = send("early", journal, "early", "sleep:1")
        journal.wait("begin early")
        tree = first.tree()
        # Its session holds a lock: without it the lease alone counts.
        for process in tree:
            process.suspend()
        drop_connections_of(first.pid)
        others = [send("late", journal, f"{n}", "ok") for n in range(20)]
        with WorkerProcess("-c", "1", "-Q", "own", settings=SHORT):
            eventually(early.ready, "the rescue")
            assert isinstance(early.result, WorkerLostError)
            for process in tree:
                process.resume()
            assert [result.get(PATIENCE) for result in others] == [f"{n}" for n in range(20)]
            journal.wait("end early")
            first.wait_log("given this one up")
            # It goes on under a new id.
            again = [send("early", journal, f"again {n}", "ok") for n in range(20)]
            again += [send("atomic", journal, f"atomic {n}", "ok") for n in range(20)]
            for result in again:
                result.get(PATIENCE)
            wait_drained()
    assert set(journal.tally().values()) == {1}
    assert early.state == "FAILURE"


def drop_connections_of(pid: int) -> None:
    """Have the server end the sessions of a worker's parent, as a lost network does."""
    from django.db import connection

    worker = Worker.objects.get(pid=pid)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name IN (%s, %s)",
            [f"djtasks {worker.hostname}"[:63], f"djtasks keeper {worker.hostname}"[:63]],
        )
