"""``taskcontrol`` and ``taskpurge``, as people and scripts use them."""

from __future__ import annotations

import io
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from djtasks.models import Message, Queue, TaskResult, Worker
from djtasks.testing import run_tasks
from tests.test_control_orders import a_worker, orders_of
from tests.test_control_placing import running
from tests.test_control_retry import failed
from tests.testapp.tasks import add

pytestmark = pytest.mark.usefixtures("empty")


def run(*words: str) -> str:
    """What the command prints."""
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def refused(*words: str) -> tuple[str, str]:
    """What the command prints, and why it refuses; its status is then 1."""
    out = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command(*words, stdout=out)
    assert caught.value.returncode == 1
    return out.getvalue(), str(caught.value)


class Person(io.StringIO):
    """Somebody at a terminal."""

    def isatty(self) -> bool:
        return True


def says(monkeypatch: pytest.MonkeyPatch, answer: str) -> list[str]:
    """Let somebody answer; returns what they are asked."""
    asked: list[str] = []

    def answer_(question: str) -> str:
        asked.append(question)
        return answer

    monkeypatch.setattr("sys.stdin", Person())
    monkeypatch.setattr("builtins.input", answer_)
    return asked


# --- tasks -----------------------------------------------------------------------------------


def test_tasks_are_retried_by_their_ids() -> None:
    ids = [failed(task_id="mine").id, failed().id]
    assert run("taskcontrol", "retry", *ids) == "2 put back.\n"
    assert len(run_tasks()) == 2


def test_new_calls_are_told_by_their_ids() -> None:
    printed = run("taskcontrol", "retry", "--as-new", failed().id).splitlines()
    assert printed[1:] == ["1 put back."]
    assert Message.objects.get().id == UUID(printed[0])


def test_a_task_that_succeeded_is_retried_when_that_is_said() -> None:
    result = add.delay(1, 2)
    run_tasks()
    printed, error = refused("taskcontrol", "retry", result.id)
    assert printed == "0 put back.\nPassed over 1: it succeeded.\n"
    assert error == "Not all of these tasks were taken."
    assert run("taskcontrol", "retry", "--also-succeeded", result.id) == "1 put back.\n"


def test_what_would_be_done_is_counted() -> None:
    ids = [failed().id, failed().id, "nobody"]
    assert run("taskcontrol", "retry", "--dry-run", *ids) == (
        "2 would be put back.\n1 would be passed over: nothing is known of it.\n"
    )
    assert not Message.objects.exists()


def test_queued_tasks_are_hurried_moved_and_revoked() -> None:
    id = add.apply_async((1, 2), countdown=600).id
    assert run("taskcontrol", "move", "--queue", "fast", "--priority", "3", id) == "1 moved.\n"
    assert Message.objects.values_list("queue", "rank").get() == ("fast", -3)
    assert run("taskcontrol", "run-now", id) == "1 made ready.\n"
    assert run("taskcontrol", "revoke", "--reason", "a mistake", id) == "1 revoked.\n"
    assert "a mistake" in (TaskResult.objects.get().result or "")
    assert run("taskcontrol", "delete", id) == "1 deleted.\n"
    assert not TaskResult.objects.exists()


def test_a_copy_is_told_by_its_id() -> None:
    id = add.delay(1, 2).id
    printed = run("taskcontrol", "copy", id, "--args", "[20, 22]", "--queue", "other")
    assert [one.result for one in run_tasks(queues=["other"])] == [42]
    assert TaskResult.objects.get().id == UUID(printed.strip())


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["retry"], "either ids, or a --query"),
        (["retry", "an id", "--query", "state:FAILURE"], "either ids, or a --query"),
        (["move", "an id"], "another queue, another priority"),
        (["move", "an id", "--queue", ""], "non-empty"),
        (["terminate", "an id", "--signal", "STOP"], "must be one of SIGTERM"),
        (["copy", "nobody"], "Nothing is known"),
        (["copy", "nobody", "--args", "{}"], "no JSON list"),
        (["copy", "nobody", "--kwargs", "{"], "no JSON"),
        (["pause", ""], "non-empty"),
        (["quiet"], "either their names, or --all"),
        (["stop", "--all", "a name"], "either their names, or --all"),
        (["retry", "an id", "--database", "none"], "no database 'none'"),
    ],
)
def test_what_cannot_be_is_said(words: list[str], text: str) -> None:
    assert text in refused("taskcontrol", *words)[1]


# --- queues ----------------------------------------------------------------------------------


def test_queues_are_paused_and_resumed() -> None:
    words = ("taskcontrol", "pause", "mail", "post", "--reason", "no server")
    assert run(*words) == "mail: paused.\npost: paused.\n"
    assert set(Queue.objects.values_list("reason", flat=True)) == {"no server"}
    assert run("taskcontrol", "pause", "mail") == "mail: paused already.\n"
    assert run("taskcontrol", "resume", "mail", "none") == "mail: resumed.\nnone: not paused.\n"


def fill(queue: str, number: int) -> None:
    for _ in range(number):
        add.apply_async((1, 2), queue=queue)


def test_queues_are_purged_when_somebody_says_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    fill("mail", 3)
    fill("other", 1)
    asked = says(monkeypatch, "y")
    assert run("taskpurge", "mail") == "mail: 3 discarded.\n"
    assert asked == ["mail: discard 3? [y/N] "]
    assert Message.objects.get().queue == "other"


@pytest.mark.parametrize("answer", ["", "n", "what?"])
def test_nothing_is_purged_without_a_yes(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    fill("mail", 3)
    says(monkeypatch, answer)
    assert refused("taskpurge", "mail") == ("", "Nothing was done.")
    assert Message.objects.count() == 3


def test_scripts_must_say_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    fill("mail", 2)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert "say --yes" in refused("taskpurge", "mail")[1]
    assert run("taskpurge", "--yes", "mail") == "mail: 2 discarded.\n"


def test_what_would_be_purged_is_counted() -> None:
    fill("mail", 2)
    running(add.apply_async((1, 2), queue="mail"))
    assert run("taskpurge", "--dry-run", "mail") == (
        "mail: 2 would be discarded.\nPassed over 1: it runs.\n"
    )
    assert Message.objects.count() == 3


# --- workers ---------------------------------------------------------------------------------


def test_workers_are_told_by_name_by_number_or_all() -> None:
    # Those that tests have killed are still there.
    Worker.objects.all().delete()
    first, second, third = (a_worker(hostname=f"worker@{name}") for name in "abc")
    assert run("taskcontrol", "quiet", "worker@a", str(second.id)) == "2 told.\n"
    assert [orders_of(w) for w in (first, second, third)] == [{"quiet": True}] * 2 + [{}]
    assert run("taskcontrol", "unquiet", "--all") == "3 told.\n"
    assert orders_of(first) == {"quiet": False}
    assert run("taskcontrol", "stop", "worker@c") == "1 told.\n"
    assert orders_of(third) == {"quiet": False, "stop": True}


def test_a_worker_that_is_not_there_is_named() -> None:
    a_worker(hostname="worker@a")
    printed, error = refused("taskcontrol", "quiet", "worker@a", "worker@z")
    assert (printed, error) == ("1 told.\n", "There is no worker worker@z.")
    Worker.objects.all().delete()
    assert run("taskcontrol", "stop", "--all") == "0 told.\n"


def test_a_task_that_runs_is_terminated_by_its_id() -> None:
    worker = a_worker()
    result: Any = running(add.delay(1, 2), worker.id)
    assert run("taskcontrol", "terminate", "--signal", "kill", result.id) == "1 ordered to end.\n"
    assert orders_of(worker) == {"terminate": {result.key.hex: "SIGKILL"}}
