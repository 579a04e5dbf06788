"""Queued tasks run now, elsewhere, sooner, or not at all; ended ones are deleted; copies run."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from uuid import uuid4

import pytest
from django.test import override_settings

from djtasks import AsyncResult, chain, chord, control, shared_task
from djtasks.codec import encode_call
from djtasks.control import Outcome, Reason
from djtasks.models import Attempt, Message, Payload, TaskResult
from djtasks.testing import run_tasks
from tests.test_control_retry import because, failed, skipped
from tests.testapp.models import Counter
from tests.testapp.replace_tasks import double, total
from tests.testapp.tasks import add, echo, fail

pytestmark = pytest.mark.usefixtures("empty")


@shared_task
def strict(order: int, *, copies: int = 1) -> int:
    """A task with a signature."""
    return order * copies


def running(result: AsyncResult[Any], worker: int = 12345) -> AsyncResult[Any]:
    """The same, claimed by a worker."""
    Message.objects.filter(id=result.key).update(worker_id=worker)
    return result


# --- run now ---------------------------------------------------------------------------------


def test_a_scheduled_task_becomes_ready_behind_what_is_ready() -> None:
    later = add.apply_async((1, 2), countdown=3600)
    ready = add.delay(3, 4)
    assert control.run_now([later.id]) == Outcome(1)
    assert [run.task_id for run in run_tasks()] == [ready.id, later.id]


def test_only_scheduled_tasks_can_be_run_now() -> None:
    step = chain(add.s(1, 2), double.s()).apply_async(countdown=60)
    ended = failed()
    ids = [add.delay(1, 2).id, running(add.delay(1, 2)).id, step.id, ended.id, "nobody"]
    assert skipped(control.run_now(ids)) == because(
        Reason.READY, Reason.RUNNING, Reason.WAITING, Reason.ENDED, Reason.UNKNOWN
    )


# --- move ------------------------------------------------------------------------------------


def test_a_task_moves_to_another_queue_with_another_priority() -> None:
    results = [
        add.delay(1, 2),
        add.apply_async((1, 2), countdown=60),
        chain(add.s(1, 2), double.s()).apply_async(),
    ]
    before = dict(Message.objects.values_list("id", "seq"))
    assert control.move([r.id for r in results], queue="fast", priority=9) == Outcome(3)
    for result in results:
        message = Message.objects.get(id=result.key)
        assert (message.queue, message.priority) == ("fast", 9)
        assert message.seq == before[result.key]


def test_what_is_not_said_stays() -> None:
    result = add.apply_async((1, 2), queue="mail", priority=2)
    control.move([result.id], priority=-5)
    assert Message.objects.values_list("queue", "rank").get() == ("mail", 5)
    control.move([result.id], queue="post")
    assert Message.objects.values_list("queue", "rank").get() == ("post", 5)


def test_a_higher_priority_runs_first() -> None:
    first, second = add.delay(1, 1), add.delay(2, 2)
    control.move([second.id], priority=1)
    assert [run.task_id for run in run_tasks()] == [second.id, first.id]


def test_who_does_not_know_a_task_is_found_out_anew_in_another_queue() -> None:
    result = add.delay(1, 2)
    Message.objects.update(unknown_since=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    control.move([result.id], priority=3)
    assert Message.objects.get().unknown_since is not None
    control.move([result.id], queue="elsewhere")
    assert Message.objects.get().unknown_since is None


def test_running_and_ended_tasks_are_not_moved() -> None:
    ids = [running(add.delay(1, 2)).id, failed().id, "nobody"]
    outcome = control.move(ids, queue="mail")
    assert skipped(outcome) == because(Reason.RUNNING, Reason.ENDED, Reason.UNKNOWN)


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ({}, "another queue, another priority, or both"),
        ({"queue": ""}, "non-empty text"),
        ({"queue": "a\x00b"}, "non-empty text"),
        ({"queue": "x" * 300}, "255 bytes"),
        ({"priority": 2**31}, "whole number"),
        ({"priority": True}, "whole number"),
        ({"priority": "1"}, "whole number"),
    ],
)
def test_there_is_no_such_place(where: dict[str, object], text: str) -> None:
    result = add.delay(1, 2)
    with pytest.raises(ValueError, match=text):
        control.move([result.id], **where)  # type: ignore[arg-type]


@override_settings(DJTASKS={"TASK_CREATE_MISSING_QUEUES": False, "TASK_QUEUES": ["mail"]})
def test_queues_that_are_not_to_be_made_are_not_made() -> None:
    result = add.delay(1, 2)
    with pytest.raises(ValueError, match="'post' is not in TASK_QUEUES"):
        control.move([result.id], queue="post")
    assert control.move([result.id], queue="mail").done == 1


# --- revoke ----------------------------------------------------------------------------------


def test_what_has_not_begun_is_revoked_with_the_reason() -> None:
    results = [add.delay(1, 2), add.apply_async((1, 2), countdown=60)]
    assert control.revoke([r.id for r in results], reason="a mistake") == Outcome(2)
    assert {result.state for result in results} == {"REVOKED"}
    assert "a mistake" in str(results[0].result)


def test_running_and_ended_tasks_are_not_revoked() -> None:
    ids = [running(add.delay(1, 2)).id, failed().id, "nobody"]
    assert skipped(control.revoke(ids)) == because(Reason.RUNNING, Reason.ENDED, Reason.UNKNOWN)


def test_a_step_that_ends_with_the_one_before_it_was_revoked_too() -> None:
    """In another batch than that one, so that it has ended when its turn comes."""
    last = chain(add.s(1, 2), double.s()).apply_async()
    others = [add.delay(number, 1).id for number in range(control.BATCH)]
    outcome = control.revoke([last.parent.id, *others, last.id])
    assert outcome == Outcome(control.BATCH + 2)
    assert last.state == "REVOKED"


# --- delete ----------------------------------------------------------------------------------


def test_results_are_deleted_with_all_that_is_kept_of_the_task() -> None:
    result = failed("x" * 5000)
    control.retry([result.id])
    run_tasks()
    assert (Attempt.objects.count(), Payload.objects.count()) == (1, 1)
    assert control.delete([result.id]) == Outcome(1)
    for model in (TaskResult, Attempt, Payload, Message):
        assert not model.objects.exists(), model


def test_what_is_queued_or_runs_is_not_deleted() -> None:
    again = failed()
    control.retry([again.id])
    ids = [add.delay(1, 2).id, running(add.delay(1, 2)).id, again.id, "nobody"]
    assert skipped(control.delete(ids)) == because(
        Reason.QUEUED_REVOKE, Reason.RUNNING, Reason.QUEUED_REVOKE, Reason.UNKNOWN
    )
    assert Message.objects.count() == 3


# --- copy ------------------------------------------------------------------------------------


def test_a_copy_is_a_call_of_its_own() -> None:
    old = strict.apply_async((3,), {"copies": 2}, queue="mail", priority=4, countdown=600)
    new = control.copy(old.id)
    message = Message.objects.get(id=new)
    assert (message.task, message.queue, message.priority) == (strict.name, "mail", 4)
    assert (message.eta, message.state, message.root_id) == (None, 0, None)
    assert [run.result for run in run_tasks()] == [6]
    assert Message.objects.get().id == old.key


def test_a_copy_has_other_arguments_another_queue_and_another_priority() -> None:
    old = strict.delay(3, copies=2)
    run_tasks()
    first = control.copy(old.id, args=[5])
    second = control.copy(old.id, kwargs={"copies": 7}, queue="mail", priority=1)
    assert Message.objects.values_list("queue", "rank").get(id=second) == ("mail", -1)
    run_tasks()
    assert [AsyncResult[int](id).get(timeout=0) for id in (first, second)] == [10, 21]


def test_arguments_keep_their_types_in_a_copy() -> None:
    counter = Counter.objects.create(name="copied")
    given = (dt.date(2026, 1, 2), (1, 2), counter, {"a": {3}})
    old = echo.delay(*given, when=dt.time(1, 2))
    run_tasks()
    control.copy(old.id, kwargs={"until": dt.time(3, 4)})
    (run,) = run_tasks()
    assert run.result == [given, {"until": dt.time(3, 4)}]
    control.copy(old.id, payload=encode_call([dt.date(2027, 1, 1)], {"n": {1}}, task="t"))
    (run,) = run_tasks()
    assert run.result == [(dt.date(2027, 1, 1),), {"n": {1}}]


def test_large_arguments_are_copied_apart() -> None:
    old = echo.delay("x" * 5000)
    run_tasks()
    new = control.copy(old.id)
    old.forget()
    assert Payload.objects.get().id == new
    assert run_tasks()[0].result == [("x" * 5000,), {}]


def test_what_was_hidden_stays_hidden_with_other_arguments() -> None:
    old = echo.apply_async(("secret",), argsrepr="('***',)", kwargsrepr="{}")
    same = Message.objects.get(id=control.copy(old.id))
    other = Message.objects.get(id=control.copy(old.id, args=["another secret"]))
    assert json.loads(same.options or "") == {"argsrepr": "('***',)", "kwargsrepr": "{}"}
    assert json.loads(other.options or "") == {"argsrepr": "(…)", "kwargsrepr": "{…}"}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"args": []}, "missing 1 required positional argument: 'order'"),
        ({"args": [1, 2]}, "takes 1 positional argument"),
        ({"kwargs": {"copy": 2}}, "unexpected keyword argument 'copy'"),
        ({"args": [object()]}, r"args\[0\]"),
        ({"payload": "[[1], {}"}, "strict"),
        ({"payload": '{"a": 1}'}, "not a list and a dict"),
        ({"payload": "[[NaN], {}]"}, "strict"),
        ({"payload": '[["\\u0000"], {}]'}, "NUL"),
        ({"payload": '[[{"__djtasks__": "no such kind", "v": 1}], {}]'}, "no such kind"),
        ({"payload": "[" * 100_000}, "strict"),
        ({"payload": "[[1], {}]", "args": [1]}, "not both"),
        ({"queue": ""}, "non-empty"),
        ({"priority": 1.5}, "whole number"),
    ],
)
def test_a_copy_that_could_not_run_is_refused(changes: dict[str, object], text: str) -> None:
    old = strict.delay(3)
    with pytest.raises(ValueError, match=text):
        control.copy(old.id, **changes)  # type: ignore[arg-type]
    assert Message.objects.count() == 1


def test_a_copy_of_nothing_is_refused() -> None:
    with pytest.raises(LookupError, match="nobody"):
        control.copy("nobody")


def test_a_task_that_is_not_registered_here_is_copied_unchecked() -> None:
    old = add.delay(1, 2)
    Message.objects.update(task="no.such.module.task")
    control.copy(old.id, args=[1, 2, 3])
    assert set(Message.objects.values_list("task", flat=True)) == {"no.such.module.task"}


def test_a_step_that_waits_is_copied_with_arguments_only() -> None:
    last = chain(add.s(1, 2), double.s()).apply_async()
    with pytest.raises(ValueError, match="say which arguments"):
        control.copy(last.id)
    new = control.copy(last.id, args=[21])
    run_tasks()
    assert AsyncResult[int](new).get(timeout=0) == 42
    assert last.get(timeout=0) == 6


def test_a_copy_of_a_member_is_in_no_chord() -> None:
    body = chord([double.s(1), fail.si("member")], total.s()).apply_async()
    member = Message.objects.get(task=double.name)
    new = Message.objects.get(id=control.copy(member.id))
    assert (new.feeds, new.after, new.root_id) == (None, None, None)
    assert "group" not in (new.options or "")
    assert body.state == "PENDING"


def test_nothing_is_loaded_by_a_name_that_a_row_says(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins
    import importlib

    loaded: list[str] = []
    monkeypatch.setattr(importlib, "import_module", lambda name, *rest: loaded.append(name))
    original = builtins.__import__

    def watch(name: str, *rest: object, **more: object) -> object:
        loaded.append(name)
        return original(name, *rest, **more)  # type: ignore[arg-type]

    ids = [add.delay(1, 2).id, failed().id]
    Message.objects.update(task="evil.module.task", queue="evil.queue")
    TaskResult.objects.update(
        task="evil.module.task", result='{"exc_type":"E","exc_message":[],"exc_module":"evil"}'
    )
    monkeypatch.setattr(builtins, "__import__", watch)
    control.copy(ids[1], args=[1])
    control.retry(ids, keep_id=False)
    control.retry(ids)
    control.move(ids, priority=1)
    control.revoke([*ids, uuid4()])
    control.delete(ids)
    assert not [name for name in loaded if "evil" in name]
