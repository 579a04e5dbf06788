"""``tasksend``, ``taskinspect``, ``taskprune``, ``taskhealth``: as people and scripts use them."""

from __future__ import annotations

import json
import signal
import socket
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from djtasks import control
from djtasks.ids import new_id
from djtasks.models import Message, SavedGroup, TaskResult
from djtasks.testing import run_tasks
from tests.test_control_orders import a_worker
from tests.testapp.tasks import add
from tests.worker_process import WorkerProcess

ADD = "tests.testapp.tasks.add"


def run(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def health(*words: str) -> tuple[int, dict[str, Any]]:
    """The status, and the checks by name."""
    out = StringIO()
    status = 0
    try:
        call_command("taskhealth", *words, "--format", "json", stdout=out)
    except SystemExit as exit:
        status = int(exit.code or 0)
    told = json.loads(out.getvalue())
    assert told["ok"] is (status == 0)
    return status, {check["name"]: check for check in told["checks"]}


# --- sending ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("empty")
def test_a_task_is_sent_with_its_options() -> None:
    words = ("--args", "[1]", "--kwargs", '{"b": 2}', "--queue", "mail", "--priority", "3")
    id = run("tasksend", ADD, *words, "--task-id", "order-42", "--countdown", "10m").strip()
    assert id == "order-42"
    message = Message.objects.get(custom_id=id)
    assert (message.payload, message.queue, message.priority) == ('[[1],{"b":2}]', "mail", 3)
    assert message.eta
    assert 500 < (message.eta - timezone.now()).total_seconds() < 601


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((ADD, "--args", "[1]"), "missing a required argument|missing 1 required"),
        ((ADD, "--args", "[1, 2, 3]"), "too many|takes"),
        ((ADD, "--args", "1"), "no JSON list"),
        (("tests.testapp.tasks.ad",), "Did you mean tests.testapp.tasks.add"),
        ((ADD, "--args", "[1, 2]", "--eta", "soon"), "eta"),
        ((ADD, "--args", "[1, 2]", "--countdown", "soon"), "no time"),
        ((ADD, "--args", "[1, 2]", "--priority", str(2**40)), "priority"),
    ],
)
def test_what_is_wrong_with_a_call_is_told(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run("tasksend", *words)
    assert not Message.objects.exists()


@pytest.mark.usefixtures("empty")
def test_a_task_that_is_unknown_here_is_sent_if_that_is_meant() -> None:
    run("tasksend", "elsewhere.tasks.add", "--force")
    assert Message.objects.get().task == "elsewhere.tasks.add"


@pytest.mark.usefixtures("live")
def test_its_result_is_waited_for() -> None:
    with WorkerProcess("-c", "1"):
        assert run("tasksend", ADD, "--args", "[1, 2]", "--wait", "10s").split("\n")[1] == "3"
        fail = "tests.testapp.tasks.fail"
        with pytest.raises(CommandError, match="FAILURE: ValueError: oh"):
            run("tasksend", fail, "--args", '["oh"]', "--wait", "10s")
        with pytest.raises(CommandError, match=r"not ended after 0\.1 s"):
            run(
                "tasksend",
                ADD,
                "--args",
                "[1, 2]",
                "--countdown",
                "60",
                "--wait",
                "0.1",
            )


# --- asking ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("live")
def test_workers_are_asked() -> None:
    with WorkerProcess("-c", "1", "-n", "asked@here") as worker:
        wait = ("-t", "10s")
        assert run("taskinspect", "ping", *wait) == "asked@here:\n  pong\n"
        told = json.loads(run("taskinspect", "stats", "--format", "json", *wait))
        assert told["answers"]["asked@here"]["pid"] == worker.pid
        assert told["missing"] == []
        for question in ("active", "reserved", "registered", "active_queues", "conf", "report"):
            assert "asked@here:" in run("taskinspect", question, *wait)
        later = add.apply_async((1, 2), countdown=600)
        assert f"{ADD}[{later.id}] [1, 2] {{}}" in run("taskinspect", "scheduled", *wait)
        assert "scheduled, " in run("taskinspect", "query_task", later.id, *wait)
        worker.send(signal.SIGSTOP)
        try:
            with pytest.raises(CommandError, match="No answer from: asked@here"):
                run("taskinspect", "ping", "-t", "0.2")
        finally:
            worker.send(signal.SIGCONT)
        with pytest.raises(CommandError, match="No answer from: other@here"):
            run("taskinspect", "ping", "-d", "other@here")
        worker.stop()
    with pytest.raises(CommandError, match="no worker"):
        run("taskinspect", "ping")
    with pytest.raises(CommandError, match="which tasks"):
        run("taskinspect", "query_task")


# --- pruning ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("empty")
def test_what_is_old_is_deleted() -> None:
    old, young, queued = add.delay(1, 2), add.delay(1, 2), add.apply_async((1, 2), countdown=60)
    run_tasks()
    long_ago = timezone.now() - timedelta(days=3)
    TaskResult.objects.filter(id=old.key).update(date_done=long_ago)
    SavedGroup.objects.create(id=new_id(), results="[]")
    SavedGroup.objects.update(saved_at=long_ago)
    TaskResult.objects.create(task=ADD, state="PROGRESS", queue="q")
    TaskResult.objects.filter(state="PROGRESS").update(updated_at=long_ago)
    said = run("taskprune", "--older-than", "2d", "--dry-run")
    assert said == "1 results and 1 groups would be deleted.\n"
    assert TaskResult.objects.count() == 3
    with pytest.raises(CommandError, match="say --yes"):
        run("taskprune", "--older-than", "2d")
    assert run("taskprune", "--older-than", "2d", "--yes") == "1 results and 1 groups deleted.\n"
    assert list(TaskResult.objects.values_list("id", flat=True)) == [young.key]
    assert not SavedGroup.objects.exists()
    assert queued.exists()
    assert run("taskprune", "--yes") == "0 results and 0 groups deleted.\n"


@pytest.mark.usefixtures("empty")
def test_the_age_has_to_be_known(settings: Any) -> None:
    settings.DJTASKS = {**getattr(settings, "DJTASKS", {}), "RESULT_EXPIRES": None}
    with pytest.raises(CommandError, match="say --older-than"):
        run("taskprune")
    with pytest.raises(CommandError, match="no time"):
        run("taskprune", "--older-than", "long")


# --- health ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("live")
def test_a_worker_that_lives_is_well_and_one_that_hangs_is_not() -> None:
    host = socket.gethostname()
    status, checks = health("live")
    assert (status, checks["worker"]["ok"]) == (1, False)
    with WorkerProcess("-c", "1", "-n", "alive@%h") as worker:
        name = f"alive@{host}"
        assert health("live", "-t", "10s")[0] == 0
        assert health("live", "-w", name, "-t", "10s")[1][name]["ok"]
        status, checks = health("live", "-w", "other@here")
        assert (status, checks["other@here"]["detail"]) == (
            1,
            "No worker of this name is registered.",
        )
        assert health("ready")[0] == 0
        worker.send(signal.SIGSTOP)
        try:
            status, checks = health("live", "-t", "0.2")
            assert (status, checks[name]["ok"]) == (1, False)
        finally:
            worker.send(signal.SIGCONT)


@pytest.mark.usefixtures("live")
def test_readiness_says_what_is_wrong() -> None:
    status, checks = health("ready")
    assert (status, checks["workers"]["ok"], checks["queues"]["ok"]) == (1, False, True)
    assert health("ready", "--min-workers", "0")[0] == 0
    add.apply_async((1, 2), queue="alone")
    Message.objects.update(enqueued_at=timezone.now() - timedelta(minutes=5))
    worker = a_worker(queues=["mail"])
    try:
        status, checks = health("ready")
        assert status == 1
        assert checks["queues"]["detail"] == "No worker serves: alone."
        assert checks["wait"]["ok"]
        assert health("ready", "-Q", "mail")[0] == 0
        status, checks = health("ready", "-Q", "other")
        assert (status, checks["queues"]["detail"]) == (1, "No worker serves: other.")
        worker.queues = ["alone"]
        worker.save()
        assert health("ready")[0] == 0
        status, checks = health("ready", "--max-wait", "1m")
        assert (status, checks["wait"]["ok"]) == (1, False)
        control.pause("alone")
        assert health("ready", "--max-wait", "1m")[0] == 0
    finally:
        worker.delete()


@pytest.mark.usefixtures("live")
def test_migrations_that_are_missing_are_named() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM django_migrations WHERE app = 'djtasks' AND name LIKE '%fair' "
            "RETURNING name, applied"
        )
        rows = cursor.fetchall()
        try:
            status, checks = health("ready", "--min-workers", "0")
        finally:
            for row in rows:
                cursor.execute(
                    "INSERT INTO django_migrations (app, name, applied) VALUES ('djtasks', %s, %s)",
                    row,
                )
    assert rows
    assert (status, checks["migrations"]["ok"]) == (1, False)
    assert "fair" in checks["migrations"]["detail"]


def test_a_database_that_is_away_is_no_traceback() -> None:
    import os
    import subprocess
    import sys

    from tests.worker_process import ROOT

    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings_worker",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "OTHER_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "DJTASKS_TEST_SETTINGS": "{}",
    }
    for kind in ("live", "ready"):
        done = subprocess.run(
            [sys.executable, "manage.py", "taskhealth", kind],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        assert done.stdout.startswith("FAIL database: default: ")
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command", ["tasksend", "taskinspect", "taskprune", "taskhealth", "taskcontrol", "taskpurge"]
)
def test_each_command_says_what_it_is_for(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command(command, "--help")
    assert len(capsys.readouterr().out) > 400
