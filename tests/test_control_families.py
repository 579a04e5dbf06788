"""Revoking tasks by what they have in common."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command

from djtasks import AsyncResult, app, chain, chord, control, group
from djtasks.control import families
from djtasks.exceptions import TaskRevokedError
from djtasks.models import Message, TaskResult, Worker
from djtasks.queue.connect import parameters
from tests.testapp import tasks
from tests.testapp.tasks import add, echo
from tests.worker_process import Journal, WorkerProcess, eventually, states


def run(*words: str) -> str:
    out = StringIO()
    call_command("taskcontrol", *words, stdout=out)
    return out.getvalue()


def revoked() -> int:
    return TaskResult.objects.filter(state="REVOKED").count()


@pytest.mark.usefixtures("empty")
def test_a_workflow_is_revoked_by_its_root() -> None:
    kept = add.delay(1, 2)
    flow: Any = chain(add.s(1, 1), group(add.s(n) for n in range(3)), echo.s())
    flow.delay()
    chord([add.s(1, n) for n in range(3)], echo.s()).delay()
    of_chain = Message.objects.filter(task=add.name, state=0).exclude(id=kept.key).order_by("seq")
    root = of_chain[0].root_id or of_chain[0].id
    total = Message.objects.filter(root_id=root).count()
    outcome = control.revoke_workflow(str(root))
    assert outcome.done in {1, total}
    assert not Message.objects.filter(root_id=root).exists()
    assert revoked() + TaskResult.objects.filter(state="FAILURE").count() == total
    assert kept.state == "PENDING"
    assert Message.objects.count() == 5
    assert control.revoke_workflow("nobody") == control.Outcome()


@pytest.mark.usefixtures("empty")
def test_tasks_are_revoked_by_their_stamps() -> None:
    def stamped(**stamps: Any) -> Any:
        signature = add.s(1, 2)
        signature.stamp(**stamps)
        return signature.apply_async()

    mine, yours, ours = stamped(owner="me"), stamped(owner="you"), stamped(owner=["me", "you"])
    number, plain = stamped(order=7), add.delay(1, 2)
    add.apply_async((1, 2), headers={"owner": "me"})
    assert app.control.revoke_by_stamped_headers({"owner": "me"}) is None
    assert [result.state for result in (mine, yours, ours, number, plain)] == [
        *("REVOKED", "PENDING", "REVOKED", "PENDING", "PENDING"),
    ]
    replies = app.control.revoke_by_stamped_headers({"owner": ["you"], "order": [7, 8]}, reply=True)
    assert replies is not None
    assert replies[0]["default"]["revoked"] == 2
    assert revoked() == 4
    with pytest.raises(ValueError, match="which stamps"):
        app.control.revoke_by_stamped_headers({})


@pytest.mark.usefixtures("empty")
def test_many_are_revoked_by_name_and_what_was_not_is_told() -> None:
    results = [add.delay(1, n) for n in range(3)]
    replies = app.control.revoke([result.id for result in results] + ["nobody"], reply=True)
    assert replies is not None
    told = replies[0]["default"]
    assert told["ok"].startswith("tasks ")
    assert (told["revoked"], told["passed_over"]) == (3, {"nothing is known of it": 1})
    with pytest.raises(ValueError, match="The signal must be one of"):
        app.control.terminate(results[0].id, signal="SIGSTOP")


@pytest.mark.usefixtures("empty")
def test_families_are_revoked_from_a_shell() -> None:
    signature = add.s(1, 2)
    signature.stamp(order=7)
    signature.apply_async()
    root = chain(add.s(1, 2), echo.s()).delay().parent.id
    assert run("revoke", "--yes", "--stamp", "order=7") == "1 revoked.\n"
    assert run("revoke", "--workflow", root).startswith(("1 revoked", "2 revoked"))
    assert not Message.objects.exists()
    for words in (
        ("revoke", "--workflow", root, "--stamp", "a=b"),
        ("revoke", "--stamp", "a", "--yes"),
        ("revoke", root, "--workflow", root),
        ("revoke", "--workflow", root, "--dry-run"),
    ):
        with pytest.raises(CommandError):
            run(*words)


@pytest.mark.usefixtures("empty")
def test_tasks_are_paused_and_limited_from_a_shell() -> None:
    from djtasks.models import TaskSetting

    assert run("pause", "--task", add.name, "--reason", "closed") == f"{add.name}: paused.\n"
    assert run("pause", "q", "--task", add.name) == f"q: paused.\n{add.name}: paused already.\n"
    assert TaskSetting.objects.get().reason == "closed"
    assert run("resume", "--task", add.name) == f"{add.name}: resumed.\n"
    assert run("limit", add.name, "--time-limit", "10m", "--rate-limit", "9/h").endswith("set.\n")
    setting = TaskSetting.objects.get()
    assert (setting.time_limit, setting.rate_limit) == (600.0, "9/h")
    run("limit", add.name, "--time-limit", "none", "--rate-limit", "none")
    assert not TaskSetting.objects.exists()
    for words in (("pause",), ("limit", "a"), ("limit", "a", "--time-limit", "soon")):
        with pytest.raises(CommandError):
            run(*words)


@pytest.mark.usefixtures("live")
def test_what_runs_of_a_workflow_is_ended_too(journal: Journal, tmp_path: Path) -> None:
    with WorkerProcess("-c", "2"):
        acts = [f"hold:{tmp_path / 'gate'}"]
        flow = chain(tasks.early.si(str(journal), "one", acts), add.si(1, 2), echo.s()).delay()
        journal.wait("held one")
        root = Message.objects.filter(worker_id__isnull=False).get().id
        outcome = control.revoke_workflow(root, terminate=True)
        assert outcome.done >= 2
        with pytest.raises(TaskRevokedError):
            flow.get(timeout=60)
        eventually(lambda: states() == {"REVOKED": 3})


@pytest.mark.usefixtures("live")
def test_workers_are_resized_from_a_shell() -> None:
    with WorkerProcess("-c", "1", "-n", "shell@here") as worker:
        wait = ("-t", "10s")
        assert run("grow", "2", "shell@here", *wait) == "shell@here: pool will grow\n"
        assert run("shrink", "1", "--all", *wait) == "shell@here: pool will shrink\n"
        assert run("autoscale", "4,2", "--all", *wait) == (
            "shell@here: autoscale now max=4 min=2\n"
        )
        assert run("serve", "mail", "--all", *wait) == "shell@here: add consumer mail\n"
        assert run("restart-pool", "--all", *wait) == "shell@here: reload started\n"
        with pytest.raises(CommandError, match="Not all of them"):
            run("shrink", "9", "--all", *wait)
        with pytest.raises(CommandError, match="no worker nobody"):
            run("grow", "1", "nobody")
        with pytest.raises(CommandError, match="as in 10,2"):
            run("autoscale", "many", "--all")
        assert worker.stop() == 0
    with pytest.raises(CommandError, match="There is no worker"):
        run("grow", "1", "--all")


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("how", ["handle", "control"])
@pytest.mark.parametrize("commits", [True, False])
def test_what_is_being_claimed_while_it_is_revoked_ends_all_the_same(
    how: str, commits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message is locked: nobody takes it from the queue, and no worker is seen to have it."""
    result: AsyncResult[int] = add.delay(1, 2)
    worker = Worker.objects.create(
        hostname="claims@here", pid=0, pool="prefork", concurrency=1, version="0", lease=3600.0
    )
    with psycopg.connect(**parameters("default")) as claiming:
        claiming.execute("UPDATE djtasks_message SET worker_id = %s", [worker.id])
        end = claiming.commit if commits else claiming.rollback
        monkeypatch.setattr(families, "sleep", lambda _pause: end())
        if how == "handle":
            result.revoke(terminate=True)
        else:
            app.control.revoke(result.id, terminate=True)
    worker.refresh_from_db()
    if commits:
        assert result.key.hex in worker.orders
    else:
        assert result.state == "REVOKED"
        assert not worker.orders
