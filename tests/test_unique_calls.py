"""Unique tasks: what is one call and what is another, for how long, and what a conflict does."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from djtasks import AsyncResult, control, enqueue_many, states
from djtasks.exceptions import DuplicateTaskId, NotUnique, TaskRevokedError
from djtasks.models import Message, TaskResult, UniqueKey
from djtasks.queue.sql import load
from djtasks.testing import capture_tasks, run_tasks
from tests.testapp.tasks import add
from tests.testapp.unique_tasks import again, latest, mail, once, queued_again, strict, sync
from tests.worker_process import rolled_back

pytestmark = pytest.mark.usefixtures("empty")

CLAIMED = {"worker_id": 12345}


def claim(result: AsyncResult[Any], **columns: Any) -> None:
    """Let a worker have it."""
    assert Message.objects.filter(id=result.key).update(**{**CLAIMED, **columns}) == 1


def give_back(result: AsyncResult[Any]) -> None:
    assert Message.objects.filter(id=result.key).update(worker_id=None) == 1


# What is the same call


def test_the_same_arguments_are_one_call_however_they_are_written() -> None:
    first = once.delay("a")
    same = [once.delay("a", 2), once.delay(name="a", more=2), once.delay(more=2, name="a")]
    assert same == [first] * 3
    assert once.delay("a", 3) != first
    assert once.delay("b") != first
    assert Message.objects.count() == 3


def test_a_template_takes_the_arguments_that_it_names() -> None:
    first = sync.delay(7, note="one")
    assert sync.delay(7, note="two") == first
    assert sync.delay(account_id=7) == first
    assert sync.delay(8) != first
    assert sorted(UniqueKey.objects.values_list("key", flat=True)) == [
        f"{sync.name}:account:7",
        f"{sync.name}:account:8",
    ]


def test_a_function_makes_the_key() -> None:
    assert again.delay("A") == again.delay("a", times=3)


def test_two_tasks_with_one_key_are_two() -> None:
    assert strict.delay("x") != latest.delay("x")
    assert Message.objects.count() == 2


def test_the_key_of_a_call_is_the_text_itself() -> None:
    first = add.apply_async((1, 2), unique_key="sum {x}")
    assert add.apply_async((3, 4), unique_key="sum {x}") == first
    assert add.apply_async((3, 4), unique_key="another") != first
    assert add.delay(1, 2) != first


def test_a_call_may_be_unique_or_not_as_it_says() -> None:
    first = once.delay("a")
    assert once.apply_async(("a",), unique=False) != first
    assert add.apply_async((1, 2), unique=True) == add.apply_async((1,), {"b": 2}, unique=True)
    assert Message.objects.count() == 3


def test_a_signature_carries_its_options() -> None:
    first = add.s(1, 2).set(unique_key="k").delay()
    assert add.s(3, 4).set(unique_key="k").delay() == first
    assert once.s("a").delay() == once.s(more=2).delay("a")


# For how long


def test_until_done_lasts_while_it_runs_and_ends_with_it() -> None:
    first = once.delay("a")
    claim(first)
    assert once.delay("a") == first
    give_back(first)
    run_tasks()
    second = once.delay("a")
    assert second != first
    assert (first.get(timeout=0), second.state) == ("a 2", states.PENDING)


def test_while_queued_ends_when_it_is_claimed() -> None:
    first = sync.delay(7)
    assert sync.delay(7) == first
    claim(first)
    second = sync.delay(7)
    assert second != first
    assert sync.delay(7) == second


def test_a_period_lasts_whatever_became_of_the_task() -> None:
    first = mail.delay("a", fails=True)
    run_tasks()
    assert first.state == states.FAILURE
    assert mail.delay("a") == first
    UniqueKey.objects.update(until="2020-01-01T00:00:00Z")
    assert mail.delay("a") != first


def test_a_period_does_not_outlast_a_revoked_task() -> None:
    first = mail.delay("a")
    first.revoke()
    assert first.state == states.REVOKED
    second = mail.delay("a")
    assert second != first
    assert mail.delay("a") == second


def test_until_done_and_for_a_period_last_as_long_as_either() -> None:
    first = add.apply_async((1, 2), unique=True, unique_for=60)
    UniqueKey.objects.update(until="2020-01-01T00:00:00Z")
    assert add.apply_async((1, 2), unique=True, unique_for=60) == first
    run_tasks()
    second = add.apply_async((1, 2), unique=True, unique_for=60)
    assert second != first
    run_tasks()
    assert add.apply_async((1, 2), unique=True, unique_for=60) == second


def test_what_is_scheduled_is_queued() -> None:
    first = sync.apply_async((7,), countdown=3600)
    assert sync.delay(7) == first


def test_a_task_that_retries_itself_keeps_its_key() -> None:
    first = again.delay("a", times=2)
    for left in (2, 1, 0):
        assert again.delay("a") == first
        ran = run_tasks(limit=3) if not left else _run_one()
        assert ran == (states.RETRY if left else ran)
    assert first.get(timeout=0) == 2
    assert again.delay("a") != first


def _run_one() -> str:
    with pytest.raises(RuntimeError):
        run_tasks(limit=1)
    # The message that was claimed for the second run is given back.
    Message.objects.update(worker_id=None)
    return states.RETRY


def test_a_task_unique_while_queued_meets_neither_itself_nor_another_when_it_retries() -> None:
    first = queued_again.delay("a", times=1)
    claim(first)
    second = queued_again.delay("a", times=0)
    give_back(first)
    assert {run.state for run in run_tasks()} == {states.RETRY, states.SUCCESS}
    assert (first.get(timeout=0), second.get(timeout=0)) == (1, 0)


@pytest.mark.parametrize("end", ["purge", "revoke", "hand", "expire", "run"])
@pytest.mark.parametrize("task", [once, sync, strict, latest])
def test_whatever_ends_the_message_frees_the_key(task: Any, end: str) -> None:
    first = task.apply_async(("a",), expires=None if end != "expire" else -1)
    if end == "purge":
        assert control.purge("celery") == 1
    elif end == "revoke":
        first.revoke()
    elif end == "hand":
        Message.objects.all().delete()
    else:
        run_tasks()
    second = task.delay("a")
    assert second != first
    assert [message.id for message in Message.objects.all()] == [second.key]


def test_a_rollback_frees_the_key() -> None:
    with rolled_back():
        first = strict.delay("a")
    second = strict.delay("a")
    assert second != first
    with rolled_back():
        latest.delay("b")
        with rolled_back():
            latest.delay("b")
        assert UniqueKey.objects.filter(key__endswith=":b").count() == 1
    assert not UniqueKey.objects.filter(key__endswith=":b").exists()


# What a conflict does


def test_the_existing_result_is_that_of_an_id_of_ones_own() -> None:
    first = once.apply_async(("a",), task_id="order-42")
    second = once.delay("a")
    assert (second.id, second.key) == ("order-42", first.key)
    assert once.apply_async(("a",), task_id="order-42") == first


def test_raise_names_the_task_that_has_the_key_and_leaves_the_transaction_usable() -> None:
    with transaction.atomic():
        first = strict.delay("a")
        with pytest.raises(NotUnique, match=rf"{first.id} has the key {strict.name}:a") as caught:
            strict.delay("a", note="again")
        strict.delay("b")
    assert caught.value.result == first
    assert (caught.value.key, caught.value.task_id) == (f"{strict.name}:a", first.id)
    assert Message.objects.count() == 2


def test_replace_revokes_what_has_not_begun_and_takes_its_place() -> None:
    first = latest.delay("a", note="old")
    second = latest.delay("a", note="new")
    assert [run.result for run in run_tasks()] == ["a new"]
    assert first.state == states.REVOKED
    with pytest.raises(TaskRevokedError, match=f"replaced by {second.id}"):
        first.get(timeout=0)
    assert second.get(timeout=0) == "a new"


def test_what_runs_is_not_replaced() -> None:
    first = latest.delay("a")
    claim(first)
    assert latest.delay("a") == first
    assert Message.objects.count() == 1


def test_replace_renews_a_period_and_replaces_nothing_that_ended() -> None:
    first = mail.delay("a")
    second = mail.apply_async(("a",), unique_on_conflict="replace")
    assert (first.state, second.state) == (states.REVOKED, states.PENDING)
    run_tasks()
    assert mail.apply_async(("a",), unique_on_conflict="replace") == second


def test_an_id_that_is_taken_frees_the_key_that_came_with_it() -> None:
    add.apply_async((1, 2), task_id="mine")
    with transaction.atomic():
        with pytest.raises(DuplicateTaskId):
            once.apply_async(("a",), task_id="mine")
        assert not UniqueKey.objects.exists()
        assert once.delay("a").id != "mine"


# Elsewhere


def test_collected_calls_take_no_key() -> None:
    with capture_tasks() as tasks:
        once.delay("a")
        once.delay("a")
    assert len(tasks) == 2
    assert not UniqueKey.objects.exists()


def test_eager_calls_run_each(settings: Any) -> None:
    settings.DJTASKS = {"TASK_ALWAYS_EAGER": True}
    assert [once.delay("a").get(), once.delay("a").get()] == ["a 2", "a 2"]
    assert not UniqueKey.objects.exists()


def test_a_unique_link_is_one_with_the_others() -> None:
    first = once.delay("6")
    linked = [
        add.apply_async((n, n), link=once.si("6" if n else "free"), queue="first") for n in range(2)
    ]
    run_tasks(queues=["first"])
    assert [result.state for result in linked] == [states.SUCCESS] * 2
    assert Message.objects.count() == 2
    (refused,) = TaskResult.objects.filter(task=once.name)
    assert (refused.state, refused.parent_id) == (states.REVOKED, linked[1].key)
    with pytest.raises(TaskRevokedError, match="not unique: its key is taken"):
        AsyncResult[Any](refused.id).get(timeout=0)
    assert first.state == states.PENDING


def test_two_links_with_one_key_are_one() -> None:
    add.apply_async((1, 1), link=[once.si("a"), once.si("a"), once.si("b")], queue="first")
    run_tasks(queues=["first"])
    assert Message.objects.count() == 2
    assert {run.result for run in run_tasks()} == {"a 2", "b 2"}


# The plain path


def test_tasks_that_are_not_unique_take_the_statements_that_they_took() -> None:
    def statements(*calls: Any) -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            enqueue_many(calls) if len(calls) > 1 else add.delay(*calls[0][1])
        return [query["sql"] for query in queries]

    def bare(name: str) -> str:
        return load(name).partition("%s")[0]

    (single,) = statements((add, (1, 2)))
    assert single.startswith(bare("insert_plain"))
    begin, many, end = statements((add, (1, 2)), (add, (3, 4)))
    assert many.startswith(bare("insert_many_plain"))
    assert (begin.split()[0], end.split()[0]) == ("SAVEPOINT", "RELEASE")
