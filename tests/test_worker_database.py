"""A worker that loses its database: sessions that are ended, and a server that restarts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models import Count
from django.test import override_settings
from model_bakery import baker

from djtasks import enqueue_many
from djtasks.models import Message, TaskResult, Worker
from testproject.embedded import Server
from tests.testapp import tasks
from tests.testapp.models import Note
from tests.worker_process import (
    PATIENCE,
    Journal,
    WorkerProcess,
    eventually,
    states,
    wait_drained,
)

LOST = "The connection to the database was lost"
FOUND = "Connected to the database again"


def end_sessions(pattern: str = "%") -> int:
    """Have the server end the sessions of workers and of their tasks; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND application_name LIKE %s",
            [pattern],
        )
        count: int = cursor.fetchone()[0]
        return count


# --- sessions that are ended -----------------------------------------------------------------


@pytest.mark.usefixtures("live")
def test_an_idle_worker_whose_sessions_are_ended_comes_back(journal: Journal) -> None:
    with WorkerProcess("-c", "1") as worker:
        for n in range(3):
            assert end_sessions("djtasks %") >= 1
            result = tasks.early.delay(str(journal), f"{n}", ["ok"])
            eventually(result.ready, "the task")
            assert result.state == "SUCCESS"
        worker.wait_log(FOUND)
        assert "Traceback" not in worker.log
        assert worker.log.count(LOST) <= 3


@pytest.mark.usefixtures("live")
def test_tasks_run_once_while_sessions_are_ended_again_and_again(journal: Journal) -> None:
    with WorkerProcess("-c", "2", "-l", "WARNING") as worker:
        count = 1500
        results = enqueue_many(
            [(tasks.early, (str(journal), f"{n}", ["ok"])) for n in range(count)]
        )
        ended = 0
        while len(journal.lines) < count and ended < 12:
            before = len(journal.lines)
            ended += end_sessions("djtasks %")
            eventually(
                lambda before=before: (
                    len(journal.lines) > before + 200  # type: ignore[misc]
                    or sum(journal.tally().values()) >= count
                ),
                "work to go on",
            )
        wait_drained()
        assert "Traceback" not in worker.log
    assert ended >= 3
    assert journal.tally() == {f"{n}": 1 for n in range(count)}
    assert states(result.id for result in results) == {"SUCCESS": count}


@pytest.mark.usefixtures("live")
def test_outcomes_are_kept_while_the_session_is_gone(journal: Journal, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with WorkerProcess("-c", "1") as worker:
        result = tasks.early.delay(str(journal), "x", [f"gate:{gate}"])
        journal.wait("begin x")
        end_sessions("djtasks %")
        gate.touch()
        journal.wait("end x")
        eventually(result.ready, "the outcome")
        assert result.state == "SUCCESS"
        assert journal.tally() == {"x": 1}
        assert Worker.objects.filter(pid=worker.pid).exists()


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize(("task", "runs"), [("early", 1), ("atomic", 2)])
def test_the_session_of_a_running_task_is_ended(
    journal: Journal, tmp_path: Path, task: str, runs: int
) -> None:
    """The early one needs it no more; the atomic one has left nothing behind and runs again."""
    gate = tmp_path / "gate"
    with WorkerProcess("-c", "1"):
        result = getattr(tasks, task).delay(str(journal), "x", [f"hold:{gate}", "ok"])
        journal.wait("held x")
        eventually(lambda: end_sessions(""), "the task's own session to be ended")
        gate.touch()
        eventually(result.ready, "the end")
    assert result.state == "SUCCESS", result.traceback
    assert journal.tally() == {"x": runs}
    assert Note.objects.filter(text="x").count() == 1


@pytest.mark.usefixtures("live")
def test_a_caller_whose_waiting_session_was_ended_waits_on_another() -> None:
    with WorkerProcess("-c", "1"):
        assert tasks.add.delay(1, 1).get(PATIENCE) == 2
        # The session that the last wait has left open for the next one; others may be ending.
        assert end_sessions("") >= 1
        assert tasks.add.delay(2, 2).get(PATIENCE) == 4


# --- a server of its own ---------------------------------------------------------------------


def restart(server: Server, how: str, away: float) -> None:
    connections["private"].close()
    server.stop("kill" if how == "kill" else "stop")
    # How long the server is away is what the test is about.
    time.sleep(away)
    server.start()


def test_a_call_that_returned_survives_a_server_that_is_killed_at_once(server: Server) -> None:
    """Also while a worker is idle, which is told of the message before it is on the disk."""
    sent = []
    with override_settings(DJTASKS={"DATABASE": "private"}):
        for _ in range(3):
            baker.make(Worker, _using="private", lease=60, wants_work=True)
            sent += [tasks.add.delay(1, 2).id for _ in range(5)]
            restart(server, "kill", 0.0)
    found = {str(row.id) for row in Message.objects.using("private").all()}
    assert found == set(sent)


@pytest.mark.parametrize(("how", "away"), [("stop", 0.0), ("kill", 3.0)])
def test_a_server_that_restarts_while_tasks_run(
    server: Server, journal: Journal, tmp_path: Path, how: str, away: float
) -> None:
    gate = tmp_path / "gate"
    with WorkerProcess("-c", "2", "-l", "WARNING", url=server.url) as worker:
        calls = [(tasks.write_nothing, (str(journal), f"held {n}", str(gate))) for n in range(2)]
        calls += [(tasks.write_nothing, (str(journal), f"{n}", "")) for n in range(200)]
        send_to_private(calls)
        journal.wait("begin held 0")
        journal.wait("begin held 1")
        restart(server, how, away)
        gate.touch()
        results = TaskResult.objects.using("private")
        eventually(lambda: results.count() == 202, "all results")
        log = worker.log
        assert log.count(LOST) == 1, log
        assert len(log.splitlines()) < 100, "a flood of lines"
        assert set(results.values_list("state", flat=True)) == {"SUCCESS"}
        assert journal.tally() == {
            **{f"held {n}": 1 for n in range(2)},
            **{f"{n}": 1 for n in range(200)},
        }
        worker.wait_log(FOUND)


def test_tasks_are_not_run_twice_over_restarts(server: Server, journal: Journal) -> None:
    """Early ones run once at most, late ones once at least, and every one ends."""
    with WorkerProcess("-c", "2", "-l", "ERROR", url=server.url):
        calls = [(tasks.write_nothing, (str(journal), f"early {n}", "")) for n in range(2000)]
        send_to_private(calls)
        for n in (300, 900, 1500):
            eventually(lambda n=n: len(journal.lines) > n, f"{n} runs")  # type: ignore[misc]
            restart(server, "stop", 0.0)
        results = TaskResult.objects.using("private")
        eventually(lambda: results.count() == 2000, "all results", within=60)
    runs = journal.tally()
    assert max(runs.values()) == 1
    ended = dict(results.values_list("state").annotate(n=Count("id")))
    # What was claimed by a turn whose commit was not confirmed has not begun: nothing is lost.
    assert ended == {"SUCCESS": 2000}
    assert len(runs) == 2000


def send_to_private(calls: Sequence[tuple[Any, tuple[Any, ...]]]) -> None:
    """Enqueue on the private server."""
    with override_settings(DJTASKS={"DATABASE": "private"}):
        enqueue_many(calls)
