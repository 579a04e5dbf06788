"""Running tasks in the caller's process: apply() and TASK_ALWAYS_EAGER."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.test import TestCase, override_settings

from djtasks import (
    AsyncResult,
    EagerResult,
    Task,
    allow_join_result,
    app,
    enqueue_many,
    shared_task,
    signals,
    states,
)
from djtasks.exceptions import (
    AlwaysEagerIgnored,
    EncodeError,
    Ignore,
    MaxRetriesExceededError,
    QueueNotFound,
    Reject,
    TaskRevokedError,
)
from djtasks.models import Message, TaskResult
from djtasks.testing import capture_tasks
from tests.own_registry import own_registry  # noqa: F401
from tests.testapp.tasks import add

pytestmark = pytest.mark.usefixtures("own_registry")


def with_setting(**values: Any) -> Any:
    return override_settings(DJTASKS={**settings.DJTASKS, **values})


@pytest.fixture
def always_eager() -> Iterator[None]:
    with with_setting(TASK_ALWAYS_EAGER=True):
        yield


def test_apply_runs_the_task_and_returns_its_result() -> None:
    result = add.apply((1,), {"b": 2})
    assert isinstance(result, EagerResult)
    assert (result.get(), result.result, result.info) == (3, 3, 3)
    assert (result.state, result.status, result.name) == ("SUCCESS", "SUCCESS", add.name)
    assert result.ready()
    assert result.successful()
    assert result.exists()
    assert not result.failed()
    assert result.traceback is None
    assert result.args is None
    assert result.maybe_throw() == 3
    assert asyncio.run(result.aget()) == 3
    assert add.apply((1, 2), task_id="mine").id == "mine"


def test_apply_takes_any_object_as_it_is() -> None:
    @shared_task
    def same(x: Any) -> Any:
        return x

    thing = object()
    assert same.apply((thing,)).get() is thing


def test_the_task_sees_an_eager_request() -> None:
    @shared_task(bind=True, soft_time_limit=3)
    def work(self: Task[..., Any], x: int) -> Any:
        return dict(vars(self.request)), self.request.delivery_info

    result = work.apply((1,), headers={"h": 1}, retries=2, queue="q", priority=5, shadow="s")
    values, delivery_info = result.get()
    assert {key: values[key] for key in values if key[0] != "_"} == {
        "id": result.id,
        "task": work.name,
        "args": (1,),
        "kwargs": {},
        "retries": 2,
        "called_directly": False,
        "is_eager": True,
        "hostname": values["hostname"],
        "parent_id": None,
        "root_id": result.id,
        "callbacks": None,
        "errbacks": None,
        "headers": {"h": 1},
        "timelimit": [None, 3],
        "ignore_result": False,
        "shadow": "s",
        "group": None,
        "group_index": None,
        "argsrepr": None,
        "kwargsrepr": None,
        "logfile": None,
        "loglevel": None,
        "delivery_info_values": delivery_info,
    }
    assert delivery_info == {
        "is_eager": True,
        "exchange": None,
        "routing_key": "q",
        "priority": 5,
    }


def test_an_eager_task_knows_the_task_it_was_called_in() -> None:
    @shared_task(bind=True)
    def inner(self: Task[..., Any]) -> Any:
        return self.request.parent_id, self.request.root_id

    @shared_task(bind=True)
    def outer(self: Task[..., Any]) -> Any:
        return inner.apply().get()

    result = outer.apply()
    assert result.get() == (result.id, result.id)


def test_a_failure_is_in_the_result_or_thrown() -> None:
    error = ValueError("x")

    @shared_task
    def fail() -> None:
        raise error

    result = fail.apply()
    assert (result.state, result.result) == ("FAILURE", error)
    assert result.failed()
    assert "ValueError: x" in (result.traceback or "")
    assert "executor.py" not in (result.traceback or "")
    assert result.get(propagate=False) is error
    for call in (result.get, result.wait, result.maybe_throw, lambda: fail.apply(throw=True)):
        with pytest.raises(ValueError, match="x") as caught:
            call()
        assert caught.value is error
    with with_setting(TASK_EAGER_PROPAGATES=True):
        with pytest.raises(ValueError, match="x"):
            fail.apply()
        assert fail.apply(throw=False).failed()


def test_a_retry_runs_at_once_up_to_its_limit() -> None:
    runs: list[Any] = []

    @shared_task(bind=True, max_retries=2)
    def work(self: Task[..., Any], x: int, fails: int) -> Any:
        runs.append((self.request.retries, x))
        if self.request.retries < fails:
            self.retry(countdown=1000, args=(x + 1, fails))
        return x

    result = work.apply((0, 2), task_id="kept")
    assert (result.id, result.get()) == ("kept", 2)
    assert runs == [(0, 0), (1, 1), (2, 2)]
    failed = work.apply((0, 3))
    assert isinstance(failed.result, MaxRetriesExceededError)


def test_a_retry_may_change_the_options_of_the_run() -> None:
    @shared_task(bind=True)
    def work(self: Task[..., Any]) -> Any:
        if not self.request.retries:
            self.retry(headers={"try": 2}, queue="slow")
        return self.request.headers, self.request.delivery_info["routing_key"]

    assert work.apply().get() == ({"try": 2}, "slow")


def test_autoretry_works_eagerly() -> None:
    runs = []

    @shared_task(autoretry_for=(OSError,), max_retries=2)
    def work() -> None:
        runs.append(1)
        raise OSError("x")

    result = work.apply()
    assert len(runs) == 3
    assert isinstance(result.result, OSError)


def test_ignore_and_reject_end_it_without_a_result() -> None:
    @shared_task
    def work(error: Exception) -> None:
        raise error

    ignored = work.apply((Ignore(),))
    assert (ignored.state, ignored.get()) == (states.IGNORED, None)
    assert work.apply((Reject(requeue=True),)).state == states.REJECTED


def test_handlers_and_signals_are_called() -> None:
    seen: list[str] = []

    class Handled(Task[..., Any]):
        def before_start(self, *args: Any) -> None:
            seen.append("before_start")

        def on_success(self, *args: Any) -> None:
            seen.append("on_success")

        def after_return(self, *args: Any) -> None:
            seen.append("after_return")

    @shared_task(base=Handled)
    def work() -> None:
        seen.append("run")

    def note(signal: signals.TaskSignal, **kwargs: Any) -> None:
        seen.append(signal.name)

    wanted = (signals.task_prerun, signals.task_success, signals.task_postrun)
    for signal in wanted:
        signal.connect(note, sender=work)
    try:
        work.apply()
    finally:
        for signal in wanted:
            signal.disconnect(note, sender=work)
    assert seen == [
        "task_prerun",
        "before_start",
        "run",
        "on_success",
        "task_success",
        "after_return",
        "task_postrun",
    ]


def test_an_async_task_is_run_to_its_end() -> None:
    @shared_task
    async def work(x: int) -> int:
        await asyncio.sleep(0)
        return x * 2

    assert work.apply((4,)).get() == 8

    async def inside_a_loop() -> int:
        result: int = work.apply((5,)).get()
        return result

    assert asyncio.run(inside_a_loop()) == 10


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_what_stops_the_process_is_not_kept_from_it(stop: type[BaseException]) -> None:
    @shared_task
    def work() -> None:
        raise stop

    with pytest.raises(stop):
        work.apply()


@pytest.mark.django_db
@pytest.mark.usefixtures("always_eager")
def test_with_always_eager_every_call_runs_at_once() -> None:
    results: list[AsyncResult[Any]] = [
        add.delay(1, 2),
        add.apply_async((1, 2), countdown=1000, queue="q", task_id="mine"),
        add.s(1).delay(2),
        *enqueue_many([(add, (1, 2)), add.s(1, 2)]),
    ]
    assert [result.get() for result in results] == [3] * 5
    assert all(isinstance(result, EagerResult) for result in results)
    assert results[1].id == "mine"
    assert not Message.objects.exists()
    assert not TaskResult.objects.exists()


@pytest.mark.usefixtures("always_eager")
def test_with_always_eager_arguments_make_the_trip_through_json() -> None:
    @shared_task
    def same(x: Any) -> Any:
        return x

    given = {"list": [1, 2]}
    result = same.delay(given).get()
    assert result == given
    assert result is not given
    with pytest.raises(EncodeError):
        same.delay(object())


@pytest.mark.usefixtures("always_eager")
def test_with_always_eager_options_are_checked_as_ever() -> None:
    with pytest.raises(TypeError, match="missing"):
        add.delay(1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="countdown"):
        add.apply_async((1, 2), countdown="x")  # type: ignore[arg-type]
    with (
        with_setting(TASK_ALWAYS_EAGER=True, TASK_CREATE_MISSING_QUEUES=False),
        pytest.raises(QueueNotFound),
    ):
        add.apply_async((1, 2), queue="new")


@pytest.mark.usefixtures("always_eager")
def test_with_always_eager_results_are_not_waited_for_in_tasks() -> None:
    @shared_task
    def joins() -> Any:
        return add.delay(1, 2).get()

    @shared_task
    def joins_anyway() -> Any:
        with allow_join_result():
            return add.delay(1, 2).get()

    with pytest.raises(RuntimeError, match=r"Never call result.get\(\) within a task"):
        joins.delay().get()
    assert joins_anyway.delay().get() == 3
    assert joins_anyway.delay().get(disable_sync_subtasks=False) == 3


@pytest.mark.django_db
@pytest.mark.usefixtures("always_eager")
def test_links_run_eagerly_too() -> None:
    seen: list[Any] = []

    @shared_task
    def note(*args: Any) -> None:
        seen.append(args)

    @shared_task
    def fail() -> None:
        raise ValueError("x")

    add.apply_async((1, 2), link=[note.s("linked"), note.si("immutable")])
    assert seen == [(3, "linked"), ("immutable",)]
    result = fail.apply_async(link_error=note.s("errback"))
    assert seen[2][-1] == "errback"
    assert result.failed()


@pytest.mark.django_db
def test_a_link_of_a_task_that_is_applied_is_enqueued() -> None:
    with capture_tasks() as calls:
        add.apply((1, 2), link=add.s(4))
    assert [call.args for call in calls] == [(3, 4)]
    add.apply((1, 2), link=add.s(4))
    assert Message.objects.get().payload == "[[3,4],{}]"


@pytest.mark.usefixtures("always_eager")
@pytest.mark.django_db
def test_send_task_is_not_eager_and_says_so() -> None:
    with pytest.warns(AlwaysEagerIgnored):
        result = app.send_task(add.name, (1, 2))
    assert not isinstance(result, EagerResult)
    assert Message.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("always_eager")
def test_calls_on_commit_run_after_the_commit() -> None:
    seen: list[int] = []

    @shared_task
    def note(x: int) -> int:
        seen.append(x)
        return x

    with TestCase.captureOnCommitCallbacks() as callbacks:
        result = note.delay_on_commit(1)
        assert (result.state, result.ready(), seen) == ("PENDING", False, [])
        with pytest.raises(RuntimeError, match="runs when the open transaction commits"):
            result.get()
    (callback,) = callbacks
    callback()
    assert (result.state, result.get(), seen) == ("SUCCESS", 1, [1])


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("always_eager")
def test_calls_on_commit_run_at_once_where_nothing_is_open_and_never_after_a_rollback() -> None:
    assert add.delay_on_commit(1, 2).get() == 3
    with transaction.atomic():
        result = add.apply_async_on_commit((1, 2))
        transaction.set_rollback(True)
    assert result.state == "PENDING"


@pytest.mark.django_db
def test_an_eager_result_is_stored_if_that_is_asked_for() -> None:
    @shared_task(bind=True)
    def work(self: Task[..., Any]) -> Any:
        self.update_state(state="PROGRESS", meta=1)
        return AsyncResult[Any](self.request.id or "").state

    assert work.apply(task_id="not-stored").get() == "PENDING"
    assert not TaskResult.objects.exists()
    with with_setting(TASK_STORE_EAGER_RESULT=True):
        assert work.apply(task_id="stored").get() == "PROGRESS"
    stored = AsyncResult[Any]("stored")
    assert (stored.state, stored.result, stored.name) == ("SUCCESS", "PROGRESS", work.name)


@pytest.mark.django_db
def test_a_stored_eager_failure_has_its_exception_and_traceback() -> None:
    @shared_task(store_eager_result=True)
    def fail() -> None:
        raise KeyError("k")

    result = fail.apply()
    stored = AsyncResult[Any](result.id)
    assert repr(stored.result) == "KeyError('k')"
    assert "KeyError" in (stored.traceback or "")


def test_an_eager_result_can_be_revoked_copied_and_pickled() -> None:
    result = add.apply((1, 2))
    for twin in (copy.copy(result), pickle.loads(pickle.dumps(result))):
        assert (twin.id, twin.get(), twin.state, twin.name) == (result.id, 3, "SUCCESS", add.name)
    result.forget()
    result.revoke()
    assert result.state == states.REVOKED
    with pytest.raises(TaskRevokedError, match="revoked"):
        result.get()
    assert repr(result) == f"<EagerResult: {result.id}>"
