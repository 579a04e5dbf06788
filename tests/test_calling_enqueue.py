"""Calls become rows, in the caller's transaction or at its commit; the publish signals."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connections, transaction
from django.test import TestCase, override_settings

from djtasks import AsyncResult, app, shared_task, signals
from djtasks.exceptions import DuplicateTaskId
from djtasks.models import Message
from djtasks.testing import capture_tasks, run_tasks
from tests.own_registry import own_registry  # noqa: F401
from tests.testapp.tasks import add

pytestmark = [pytest.mark.usefixtures("own_registry"), pytest.mark.django_db]


def test_a_call_is_one_row() -> None:
    result = add.apply_async((1,), {"b": 2}, queue="mail", priority=5, headers={"h": 1})
    message = Message.objects.get()
    assert str(message.id) == result.id
    assert (message.task, message.payload) == (add.name, '[[1],{"b":2}]')
    assert (message.queue, message.priority) == ("mail", 5)
    assert message.options == '{"headers":{"h":1}}'
    assert isinstance(result, AsyncResult)


def test_a_call_in_a_transaction_that_is_rolled_back_is_none() -> None:
    with transaction.atomic():
        add.delay(1, 2)
        assert Message.objects.count() == 1
        transaction.set_rollback(True)
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    "call",
    [
        lambda: add.delay_on_commit(1, 2),
        lambda: add.apply_async_on_commit((1, 2), queue="q"),
        lambda: add.apply_async((1, 2), enqueue="on_commit"),
        lambda: add.s(1, 2).set(enqueue="on_commit").delay(),
    ],
)
def test_a_call_on_commit_is_written_then_and_has_its_result_now(call: Any) -> None:
    with TestCase.captureOnCommitCallbacks() as callbacks:
        result = call()
    assert not Message.objects.exists()
    for callback in callbacks:
        callback()
    assert str(Message.objects.get().id) == result.id


def test_the_setting_and_the_task_may_ask_for_on_commit() -> None:
    @shared_task(enqueue="on_commit")
    def later() -> None: ...

    @shared_task(enqueue="transaction")
    def now() -> None: ...

    later.delay()
    assert not Message.objects.exists()
    later.apply_async(enqueue="transaction")
    assert Message.objects.count() == 1
    with override_settings(DJTASKS={**settings.DJTASKS, "ENQUEUE": "on_commit"}):
        add.delay(1, 2)
        app.send_task("x")
        assert Message.objects.count() == 1
        now.delay()
    assert Message.objects.count() == 2


def test_an_id_that_is_queued_is_refused_and_the_transaction_stays_usable() -> None:
    add.apply_async((1, 2), task_id="order-42")
    with pytest.raises(DuplicateTaskId, match="order-42"):
        add.apply_async((3, 4), task_id="order-42")
    assert Message.objects.count() == 1
    run_tasks()
    add.apply_async((3, 4), task_id="order-42")
    assert Message.objects.count() == 1


def test_a_task_is_sent_by_its_name_without_being_known() -> None:
    result = app.send_task("no.such.task", (1,), {"k": 2}, queue="q", countdown=60)
    message = Message.objects.get()
    assert (message.task, message.queue, str(message.id)) == ("no.such.task", "q", result.id)
    assert message.eta is not None


def test_send_task_takes_the_options_of_a_known_task_as_defaults() -> None:
    @shared_task(name="known", queue="mail", priority=3, ignore_result=True)
    def known(x: int) -> None: ...

    result = app.send_task("known")
    message = Message.objects.get()
    assert (message.queue, message.priority, result.ignored) == ("mail", 3, True)


@pytest.mark.parametrize("name", ["", "a\x00b"])
def test_what_is_no_name_is_not_sent(name: str) -> None:
    with pytest.raises(ValueError, match="needs the name of a task"):
        app.send_task(name)


@pytest.mark.django_db(transaction=True)
def test_calls_of_asynchronous_code() -> None:
    async def calls() -> list[AsyncResult[int]]:
        try:
            return [
                await add.adelay(1, 2),
                await add.aapply_async((1,), {"b": 2}, queue="q"),
            ]
        finally:
            await sync_to_async(connections.close_all)()

    results = asyncio.run(calls())
    assert Message.objects.count() == 2
    assert [result.queue for result in results] == ["celery", "q"]


@pytest.fixture
def published() -> Iterator[list[dict[str, Any]]]:
    seen: list[dict[str, Any]] = []

    def note(signal: signals.TaskSignal, **kwargs: Any) -> None:
        seen.append({"signal": signal.name, **kwargs})

    signals.before_task_publish.connect(note)
    signals.after_task_publish.connect(note)
    yield seen
    signals.before_task_publish.disconnect(note)
    signals.after_task_publish.disconnect(note)


def test_publishing_is_announced_with_celerys_arguments(published: list[dict[str, Any]]) -> None:
    result = add.apply_async((1,), {"b": 2}, queue="q", priority=3, headers={"h": 1})
    before, after = published
    headers = {
        "lang": "py",
        "task": add.name,
        "id": result.id,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": result.id,
        "parent_id": None,
        "argsrepr": None,
        "kwargsrepr": None,
        "ignore_result": None,
        "h": 1,
    }
    links = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    assert before == {
        "signal": "before_task_publish",
        "sender": add.name,
        "body": ((1,), {"b": 2}, links),
        "exchange": "",
        "routing_key": "q",
        "headers": headers,
        "properties": {"correlation_id": result.id, "priority": 3},
        "declare": [],
        "retry_policy": None,
    }
    assert after == {
        "signal": "after_task_publish",
        "sender": add.name,
        "body": ((1,), {"b": 2}, links),
        "exchange": "",
        "routing_key": "q",
        "headers": headers,
    }


def test_a_receiver_may_add_headers_and_change_arguments() -> None:
    def change(headers: dict[str, Any], body: Any, **kwargs: Any) -> None:
        headers["trace"] = "abc"
        body[1]["b"] = 5

    signals.before_task_publish.connect(change, sender=add.name)
    try:
        add.apply_async((1,), {"b": 2}, headers={"h": 1})
        app.send_task("other")
    finally:
        signals.before_task_publish.disconnect(change, sender=add.name)
    changed, unchanged = Message.objects.order_by("seq")
    assert changed.payload == '[[1],{"b":5}]'
    assert changed.options == '{"headers":{"h":1,"trace":"abc"}}'
    assert unchanged.options is None


def test_what_a_receiver_raises_stops_no_call() -> None:
    def broken(**kwargs: Any) -> None:
        raise ValueError("broken receiver")

    signals.before_task_publish.connect(broken)
    try:
        add.delay(1, 2)
    finally:
        signals.before_task_publish.disconnect(broken)
    assert Message.objects.count() == 1


def test_captured_calls_are_not_written() -> None:
    with capture_tasks() as calls:
        delayed = add.delay(1, 2)
        add.apply_async((3,), {"b": 4}, countdown=5)
        add.s(5, 6).delay()
        app.send_task("by.name", (7,))
        add.delay_on_commit(8, 9)
    assert not Message.objects.exists()
    assert calls.names == [add.name, add.name, add.name, "by.name", add.name]
    assert [(call.args, dict(call.kwargs), dict(call.options)) for call in calls] == [
        ((1, 2), {}, {}),
        ((3,), {"b": 4}, {"countdown": 5}),
        ((5, 6), {}, {}),
        ((7,), {}, {}),
        ((8, 9), {}, {"enqueue": "on_commit"}),
    ]
    assert calls[0].result == delayed
    assert calls.named("by.name") == [calls[3]]
    add.delay(1, 2)
    assert len(calls) == 5


def test_captured_calls_are_written_too_if_that_is_asked_for() -> None:
    with capture_tasks(insert=True) as calls:
        add.delay(1, 2)
    assert len(calls) == Message.objects.count() == 1


def test_captures_nest() -> None:
    with capture_tasks() as outer:
        add.delay(1, 1)
        with capture_tasks() as inner:
            add.delay(2, 2)
        add.delay(3, 3)
    assert [call.args for call in outer] == [(1, 1), (3, 3)]
    assert [call.args for call in inner] == [(2, 2)]


def test_eager_calls_are_captured_instead_of_run() -> None:
    seen = []

    @shared_task
    def note() -> None:
        seen.append(1)

    with override_settings(DJTASKS={**settings.DJTASKS, "TASK_ALWAYS_EAGER": True}):
        with capture_tasks() as calls:
            note.delay()
        assert (len(calls), seen) == (1, [])
        with capture_tasks(insert=True) as calls:
            note.delay()
        assert (len(calls), seen) == (1, [1])


def test_delay_can_be_patched_on_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(add, "delay", lambda *args: made.append(args))
    add.delay(1, 2)
    assert made == [(1, 2)]
