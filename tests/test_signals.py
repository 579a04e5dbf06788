"""Signals: Celery's names and arguments, senders by equality, receivers that break nothing."""

from __future__ import annotations

import asyncio
import gc
import logging
import timeit
from typing import Any

import django.dispatch
import pytest

from djtasks import signals
from djtasks.exceptions import SoftTimeLimitExceeded
from djtasks.signals import TaskSignal

SIGNALS = {name: value for name, value in vars(signals).items() if type(value) is TaskSignal}


class FakeTask:
    """What a signal needs to know of a task."""

    def __init__(self, name: str) -> None:
        self.name = name


@pytest.fixture
def signal() -> TaskSignal:
    return TaskSignal("task_done", "task_id")


@pytest.fixture
def got() -> list[Any]:
    return []


def test_names() -> None:
    assert set(SIGNALS) == {name for name in signals.__all__ if name != "TaskSignal"}
    assert all(signal.name == name for name, signal in SIGNALS.items())


def test_arguments_are_celerys() -> None:
    assert signals.task_prerun.arguments == ("task_id", "task", "args", "kwargs")
    assert signals.task_failure.arguments == (
        *("task_id", "exception", "args", "kwargs", "traceback", "einfo"),
    )
    assert signals.task_revoked.arguments == ("request", "terminated", "signum", "expired")
    assert repr(signals.task_received) == "<TaskSignal: task_received(request)>"


def test_receivers_get_sender_signal_and_arguments(signal: TaskSignal, got: list[Any]) -> None:
    @signal.connect
    def receive(sender: object, **kwargs: Any) -> None:
        got.append((sender, kwargs))

    signal.emit("me", task_id="1")
    assert got == [("me", {"signal": signal, "task_id": "1"})]


def test_connect_returns_the_function(signal: TaskSignal) -> None:
    def receive(**kwargs: Any) -> None: ...

    assert signal.connect(receive) is receive
    assert signal.connect(sender="x")(receive) is receive


def test_decorator_with_arguments(signal: TaskSignal, got: list[Any]) -> None:
    @signal.connect(sender="shop.tasks.ship", weak=False, dispatch_uid="once")
    def receive(sender: object, **kwargs: Any) -> None:
        got.append(sender)

    signal.connect(lambda **kwargs: got.append("twice"), "shop.tasks.ship", False, "once")
    signal.emit("shop.tasks.ship")
    signal.emit("shop.tasks.other")
    assert got == ["shop.tasks.ship"]


def test_djangos_receiver_decorator(signal: TaskSignal, got: list[Any]) -> None:
    @django.dispatch.receiver(signal, sender="a")
    def receive(sender: object, **kwargs: Any) -> None:
        got.append(sender)

    signal.emit("a")
    signal.emit("b")
    assert got == ["a"]


def test_senders_match_by_equality(signal: TaskSignal, got: list[Any]) -> None:
    signal.connect(lambda sender, **kwargs: got.append(sender), "".join(["a", "b"]), weak=False)
    signal.emit("".join(["a", "b"]))
    assert got == ["ab"]


@pytest.mark.parametrize("connected", [FakeTask("a"), "a"], ids=["task", "name"])
@pytest.mark.parametrize("sent", [FakeTask("a"), "a"], ids=["task", "name"])
def test_a_task_and_its_name_are_one_sender(
    signal: TaskSignal, got: list[Any], connected: object, sent: object
) -> None:
    signal.connect(lambda sender, **kwargs: got.append(sender), connected, weak=False)
    signal.emit(FakeTask("b"))
    signal.emit(sent)
    assert got == [sent]
    assert got[0] is sent


def test_a_sender_that_is_gone_is_not_taken_for_another(signal: TaskSignal, got: list[Any]) -> None:
    signal.connect(lambda sender, **kwargs: got.append(sender), FakeTask("gone"), weak=False)
    gc.collect()
    for number in range(1000):
        signal.emit(FakeTask(f"other-{number}"))
    assert got == []


def test_unhashable_senders(signal: TaskSignal, got: list[Any]) -> None:
    sender: list[int] = []
    signal.connect(lambda **kwargs: got.append(1), sender, weak=False)
    signal.emit(sender)
    signal.emit([])
    assert got == [1]


def test_disconnect(signal: TaskSignal, got: list[Any]) -> None:
    def receive(**kwargs: Any) -> None:
        got.append(1)

    signal.connect(receive, sender="a")
    assert not signal.disconnect(receive, sender="b")
    assert signal.disconnect(receive, sender=FakeTask("a"))
    signal.emit("a")
    assert got == []


def test_weak_receivers_are_forgotten(signal: TaskSignal, got: list[Any]) -> None:
    def connect() -> None:
        def receive(**kwargs: Any) -> None:
            got.append(1)

        signal.connect(receive)

    connect()
    gc.collect()
    signal.emit(None)
    assert got == []


def test_an_error_is_logged_and_goes_no_further(
    signal: TaskSignal, got: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    @signal.connect
    def broken(**kwargs: Any) -> None:
        raise ValueError("no")

    signal.connect(lambda **kwargs: got.append("next"), weak=False)
    with caplog.at_level(logging.ERROR, "djtasks.signals"):
        signal.emit(None)
    assert got == ["next"]
    record = caplog.records[0]
    assert "broken of task_done raised: ValueError('no')" in record.getMessage()
    assert record.exc_info is not None


def test_a_receiver_without_a_name_can_fail_too(
    signal: TaskSignal, caplog: pytest.LogCaptureFixture
) -> None:
    class Receiver:
        def __call__(self, **kwargs: Any) -> None:
            raise ValueError("no")

    receiver = Receiver()
    signal.connect(receiver)
    signal.emit(None)
    assert "Receiver" in caplog.text


@pytest.mark.parametrize("error", [SystemExit(3), SoftTimeLimitExceeded(1)])
def test_what_is_meant_for_the_task_passes(signal: TaskSignal, error: BaseException) -> None:
    # An alarm interrupts whatever runs, and that may be a receiver.
    @signal.connect
    def interrupted(**kwargs: Any) -> None:
        raise error

    with pytest.raises(type(error)):
        signal.emit(None)


def test_async_receivers_run_before_emit_returns(signal: TaskSignal, got: list[Any]) -> None:
    @signal.connect
    async def receive(sender: object, **kwargs: Any) -> None:
        await asyncio.sleep(0)
        got.append(sender)

    signal.emit("a")
    assert got == ["a"]


def test_async_receivers_in_a_running_loop_are_scheduled_on_it(
    signal: TaskSignal, got: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    @signal.connect
    async def broken(**kwargs: Any) -> None:
        raise ValueError("no")

    @signal.connect
    async def receive(sender: object, **kwargs: Any) -> None:
        got.append((sender, asyncio.get_running_loop()))

    @signal.connect
    def receive_at_once(sender: object, **kwargs: Any) -> None:
        got.append("sync")

    async def run() -> None:
        signal.emit("a")
        assert got == ["sync"]
        await asyncio.sleep(0.01)
        assert got == ["sync", ("a", asyncio.get_running_loop())]

    asyncio.run(run())
    assert "ValueError('no')" in caplog.text


@pytest.mark.parametrize("wrong", [42, "text"])
def test_a_receiver_must_be_callable(signal: TaskSignal, wrong: Any) -> None:
    with pytest.raises(TypeError, match="must be callable"):
        signal.connect(wrong)


def test_a_receiver_must_accept_more_arguments(signal: TaskSignal) -> None:
    with pytest.raises(ValueError, match=r"must accept \*\*kwargs"):
        signal.connect(lambda sender: None)


def test_emit_without_receivers_is_cheap(signal: TaskSignal) -> None:
    # Seconds for one; measured 0.25 microseconds, of which half is the call itself.
    cost = min(
        timeit.repeat(
            lambda: signal.emit(None, task_id=1, task=2, args=3, kwargs=4), number=10_000, repeat=7
        )
    )
    assert cost / 10_000 < 3e-6
