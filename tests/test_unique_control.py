"""What people do to unique tasks: put back, copied, looked at."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.utils import timezone

from djtasks import AsyncResult, control, states
from djtasks.browser.task import task as task_view
from djtasks.control import Reason
from djtasks.models import Message, TaskResult, UniqueKey
from djtasks.testing import run_tasks
from tests.admin_pages import read, ruler, url
from tests.test_control_retry import because, skipped
from tests.testapp.tasks import add
from tests.testapp.unique_tasks import mail, once, strict

pytestmark = pytest.mark.usefixtures("empty")


def ended(name: str = "a", task: Any = strict) -> AsyncResult[Any]:
    """A unique task that was revoked."""
    result: AsyncResult[Any] = task.delay(name)
    result.revoke()
    assert result.state == states.REVOKED
    return result


@pytest.mark.parametrize("keep_id", [True, False])
def test_a_retry_takes_the_key(keep_id: bool) -> None:
    old = ended()
    outcome = control.retry([old.id], keep_id=keep_id)
    assert outcome.done == 1
    queued = Message.objects.get()
    assert queued.id == (old.key if keep_id else outcome.ids[0])
    assert strict.apply_async(("a",), unique_on_conflict="existing").key == queued.id
    run_tasks()
    assert strict.delay("a").key != queued.id


@pytest.mark.parametrize("keep_id", [True, False])
def test_a_retry_is_passed_over_while_another_has_the_key(keep_id: bool) -> None:
    old, free = ended(), ended("free")
    rival = strict.delay("a")
    outcome = control.retry([old.id, free.id], keep_id=keep_id)
    assert outcome.done == 1
    assert skipped(outcome) == because(Reason.NOT_UNIQUE)
    assert old.state == states.REVOKED
    rival.revoke()
    assert control.retry([old.id], keep_id=keep_id).done == 1


@pytest.mark.parametrize("keep_id", [True, False])
def test_of_many_with_one_key_the_first_is_put_back(keep_id: bool) -> None:
    olds = [ended() for _ in range(3)]
    outcome = control.retry([old.id for old in olds], keep_id=keep_id)
    assert outcome.done == 1
    assert len(outcome.ids) == (0 if keep_id else 1)
    assert skipped(outcome) == because(*[Reason.NOT_UNIQUE] * 2)
    assert Message.objects.count() == 1


@pytest.mark.parametrize("keep_id", [True, False])
def test_ones_own_period_is_no_obstacle_and_begins_anew(keep_id: bool) -> None:
    old = mail.delay("a", fails=True)
    run_tasks()
    before = UniqueKey.objects.get().until
    outcome = control.retry([old.id], keep_id=keep_id)
    assert outcome.done == 1
    held = UniqueKey.objects.get()
    assert held.until is not None
    assert before is not None
    assert held.until > before > timezone.now()
    assert held.task_id == Message.objects.get().id


def test_options_that_somebody_wrote_by_hand_are_no_obstacle() -> None:
    for options in ("{", "[]", '{"unique":7}', '{"unique":{"key":7}}', '{"unique":'):
        old = ended()
        TaskResult.objects.filter(id=old.key).update(options=options)
        assert control.retry([old.id], keep_id=False).done == 1, options
        Message.objects.all().delete()


def test_a_copy_has_the_key_that_its_arguments_make() -> None:
    first = strict.delay("a")
    with pytest.raises(ValueError, match=f"{first.id} has the key"):
        control.copy(first.id)
    with pytest.raises(ValueError, match=f"{first.id} has the key"):
        control.copy(first.id, kwargs={"note": "other"})
    copied = control.copy(first.id, args=["b"])
    assert strict.apply_async(("b",), unique_on_conflict="existing").key == copied
    first.revoke()
    assert key_of(control.copy(first.id)) == f"{strict.name}:a"


def test_a_copy_of_a_call_that_alone_was_unique_keeps_its_key() -> None:
    first = add.apply_async((1, 2), unique_key="k")
    with pytest.raises(ValueError, match="has the key"):
        control.copy(first.id, args=[3, 4])
    run_tasks()
    assert key_of(control.copy(first.id, args=[3, 4])) == f"{add.name}:k"


def test_a_copy_with_other_arguments_of_a_task_that_is_not_known_here_is_not_unique() -> None:
    from djtasks import app

    first = app.send_task("elsewhere", ("a",), unique_key="k")
    copied = control.copy(first.id, args=["b"])
    assert Message.objects.get(id=copied).options is None
    with pytest.raises(ValueError, match="has the key"):
        control.copy(first.id)


def key_of(id: UUID) -> str:
    view = task_view(id)
    assert view is not None
    assert view.unique is not None
    return view.unique.key


def page_of(client: Client, result: AsyncResult[Any]) -> str:
    """What the page of a task says."""
    return read(client.get(url("taskrecord_change", result.key))).text


def test_the_page_of_a_task_shows_its_key_queued_and_ended() -> None:
    client = ruler()
    result = mail.apply_async(("<b>a</b>",), unique=True)
    for _ in range(2):
        shown = page_of(client, result)
        assert f"{mail.name}:<b>a</b>" in shown
        assert "until it has ended, for 10 min" in shown
        run_tasks()


def test_what_hides_the_arguments_hides_the_key() -> None:
    result = once.apply_async(("secret",), argsrepr="(…)")
    shown = page_of(ruler(), result)
    assert "secret" not in shown
    assert "Unique key" in shown
