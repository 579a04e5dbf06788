"""Results: what a handle tells of its task, from enqueue to end."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection, connections
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils.connection import ConnectionDoesNotExist

from djtasks import AsyncResult, Task, allow_join_result, app, shared_task, states
from djtasks.codec import decode_result, encode_result
from djtasks.exceptions import (
    Ignore,
    ImproperlyConfigured,
    IncompleteStream,
    TaskRevokedError,
    TimeoutError,
)
from djtasks.execution.request import Context, pop, push
from djtasks.joining import denied_join_result
from djtasks.models import Message, TaskResult, Worker
from djtasks.result import result_from_tuple
from djtasks.testing import run_tasks
from tests.own_registry import own_registry  # noqa: F401
from tests.testapp.tasks import add

pytestmark = [pytest.mark.usefixtures("own_registry"), pytest.mark.django_db]


class Broken(Exception):
    """An exception of this module's own."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code


@shared_task(name="tests.failing")
def failing(code: int) -> None:
    raise Broken(code, "because")


def test_a_task_that_was_called_is_pending_and_all_of_it_is_known() -> None:
    result = add.apply_async((1,), {"b": 2}, queue="q")
    assert (result.state, result.status, result.result, result.info) == (
        "PENDING",
        "PENDING",
        None,
        None,
    )
    assert not result.ready()
    assert not result.successful()
    assert not result.failed()
    assert result.exists()
    assert (result.name, result.args, result.kwargs) == (add.name, [1], {"b": 2})
    assert (result.queue, result.retries, result.worker) == ("q", 0, None)
    assert (result.date_done, result.traceback, result.children, result.parent) == (None,) * 4


def test_results_know_the_app() -> None:
    assert AsyncResult("some-id").app is app


def test_a_task_that_returned_has_its_value() -> None:
    result = add.delay(1, 2)
    run_tasks()
    assert result.state == "SUCCESS"
    assert result.ready()
    assert result.successful()
    assert (result.get(), result.get(timeout=0), result.result) == (3, 3, 3)
    assert result.date_done is not None
    assert datetime.now(UTC) - result.date_done < timedelta(minutes=1)
    assert (result.name, result.args, result.kwargs) == (add.name, [1, 2], {})
    assert (result.queue, result.retries) == ("celery", 0)
    assert result.worker
    assert result.children is None


def test_values_come_back_with_their_types() -> None:
    @shared_task
    def typed() -> Any:
        return {"price": Decimal("1.50"), "when": datetime(2030, 1, 1, tzinfo=UTC)}

    result = typed.delay()
    run_tasks()
    assert result.get() == {"price": Decimal("1.50"), "when": datetime(2030, 1, 1, tzinfo=UTC)}


def test_a_task_that_failed_has_its_exception_and_traceback() -> None:
    result = failing.delay(5)
    run_tasks()
    assert (result.state, result.failed(), result.ready()) == ("FAILURE", True, True)
    for call in (result.get, result.wait, result.maybe_throw, result.maybe_reraise):
        with pytest.raises(Broken) as caught:
            call()
        assert caught.value.code == 5
    error: Any = result.get(propagate=False)
    assert isinstance(error, Broken)
    assert "raise Broken(code" in (result.traceback or "")
    assert isinstance(result.maybe_throw(propagate=False), Broken)


def test_an_exception_whose_class_is_not_here_is_told_by_its_name() -> None:
    @shared_task
    def fails_locally() -> None:
        class Local(Exception):
            pass

        raise Local("text")

    result = fails_locally.delay()
    run_tasks()
    with pytest.raises(Exception, match="text") as caught:
        result.get()
    assert "Local" in type(caught.value).__name__


def test_a_task_that_will_run_again_is_in_retry() -> None:
    @shared_task(bind=True)
    def again(self: Task[..., Any]) -> int:
        if self.request.retries < 1:
            self.retry(exc=ValueError("not yet"), countdown=60)
        return self.request.retries

    result = again.delay()
    run_tasks()
    assert result.state == "RETRY"
    assert repr(result.result) == "ValueError('not yet')"
    assert (result.ready(), result.retries) == (False, 1)
    assert result.date_done is None
    run_tasks(scheduled=True)
    assert (result.state, result.get(), result.retries) == ("SUCCESS", 1, 1)


def test_a_custom_state_is_told_with_its_meta_until_the_end() -> None:
    found: list[Any] = []

    @shared_task(bind=True)
    def progressing(self: Task[..., Any]) -> str:
        self.update_state(state="PROGRESS", meta={"done": 1})
        handle = self.AsyncResult(self.request.id or "")
        found.append((handle.state, handle.info, handle.ready()))
        return "done"

    result = progressing.delay()
    run_tasks()
    assert found == [("PROGRESS", {"done": 1}, False)]
    assert result.get() == "done"


def test_a_running_task_is_started_only_if_that_is_tracked() -> None:
    found: list[Any] = []

    @shared_task(bind=True, track_started=True)
    def tracked(self: Task[..., Any]) -> None:
        handle = self.AsyncResult(self.request.id or "")
        found.append((handle.state, sorted(handle.info)))

    @shared_task(bind=True)
    def untracked(self: Task[..., Any]) -> None:
        handle = self.AsyncResult(self.request.id or "")
        found.append((handle.state, handle.info))

    tracked.delay()
    untracked.delay()
    run_tasks()
    assert found == [("STARTED", ["hostname", "pid"]), ("PENDING", None)]


def test_a_task_that_expired_is_revoked() -> None:
    result = add.apply_async((1, 2), expires=-1)
    run_tasks()
    assert result.state == "REVOKED"
    with pytest.raises(TaskRevokedError, match="expired"):
        result.get()
    assert isinstance(result.get(propagate=False), TaskRevokedError)


def test_a_task_that_raised_ignore_stays_pending() -> None:
    @shared_task
    def ignoring() -> None:
        raise Ignore

    result = ignoring.delay()
    run_tasks()
    assert (result.state, result.exists()) == ("PENDING", False)


def test_an_unknown_id_is_pending() -> None:
    result = AsyncResult[Any]("no-such-task")
    assert (result.state, result.result, result.exists()) == ("PENDING", None, False)
    assert (result.name, result.args, result.queue, result.retries) == (None,) * 4


def test_the_wait_for_an_unknown_task_ends_with_its_timeout() -> None:
    for timeout in (0, 0.05):
        with pytest.raises(TimeoutError, match="The operation timed out") as caught:
            AsyncResult[Any]("no-such-task").get(timeout=timeout)
        assert isinstance(caught.value, AsyncResult.TimeoutError)


def test_a_caller_is_told_while_it_waits() -> None:
    calls: list[float] = []

    def tell() -> None:
        calls.append(time.monotonic())
        if len(calls) == 3:
            raise InterruptedError

    began = time.monotonic()
    with pytest.raises(InterruptedError):
        AsyncResult[Any]("x").get(timeout=60, interval=0.05, on_interval=tell)
    assert calls[2] - began >= 3 * 0.05


def test_a_callback_gets_id_and_value() -> None:
    result = add.delay(1, 2)
    run_tasks()
    seen: list[Any] = []
    assert result.get(callback=lambda id, value: seen.append((id, value))) == 3
    assert seen == [(result.id, 3)]


def test_what_needs_a_broker_says_so() -> None:
    with pytest.raises(ImproperlyConfigured, match="on_interval"):
        AsyncResult[Any]("x").get(on_message=lambda body: None)  # type: ignore[arg-type]


def test_an_id_of_the_callers_own_finds_its_result() -> None:
    result = add.apply_async((1, 2), task_id="order-42")
    assert result.id == str(result) == "order-42"
    run_tasks()
    assert AsyncResult[int]("order-42").get() == 3
    assert app.AsyncResult("order-42").get() == 3
    assert add.AsyncResult("order-42").get() == 3


def test_results_are_equal_by_id() -> None:
    result = add.delay(1, 2)
    twin = AsyncResult[int](result.id)
    assert result == twin == result.id
    assert hash(result) == hash(twin)
    assert result != AsyncResult[int]("other")
    assert result != 5
    assert len({result, twin}) == 1
    assert AsyncResult[Any](UUID(result.id)) == result
    for same in (copy.copy(result), pickle.loads(pickle.dumps(result))):
        assert same == result
    assert repr(result) == f"<AsyncResult: {result.id}>"
    assert result.task_id == result.id
    assert result.key == UUID(result.id)


def test_no_id_is_an_error() -> None:
    with pytest.raises(ValueError, match="requires a task id"):
        AsyncResult(None)  # type: ignore[arg-type]


def test_a_ready_result_is_read_once() -> None:
    result = add.delay(1, 2)
    with CaptureQueriesContext(connection) as queries:
        assert result.state == result.state == "PENDING"
    assert len(queries.captured_queries) == 2
    run_tasks()
    with CaptureQueriesContext(connection) as queries:
        assert (result.state, result.result, result.get(), result.name) == (
            "SUCCESS",
            3,
            3,
            add.name,
        )
    assert len(queries.captured_queries) == 1


def test_a_forgotten_result_is_gone_with_those_of_its_parents() -> None:
    parent, child = add.delay(1, 2), add.delay(3, 4)
    child.parent = parent
    run_tasks()
    assert child.get() == 7
    child.forget()
    assert not TaskResult.objects.exists()
    assert (child.state, parent.state) == ("PENDING", "PENDING")


def test_forgetting_does_not_take_a_task_from_the_queue() -> None:
    result = add.delay(1, 2)
    result.forget()
    assert Message.objects.count() == 1


def test_the_failure_of_a_parent_is_raised() -> None:
    parent = failing.delay(1)
    child: AsyncResult[Any] = AsyncResult("never-run", parent=parent)
    run_tasks()
    with pytest.raises(Broken):
        child.get(timeout=60)
    with pytest.raises(TimeoutError):
        child.get(timeout=0, follow_parents=False)
    with pytest.raises(TimeoutError):
        child.get(timeout=0, propagate=False)


def test_inside_a_task_results_are_not_waited_for_unless_allowed() -> None:
    token = push(add, Context(id="outer", called_directly=False))
    result = AsyncResult[Any]("inner")
    try:
        with pytest.raises(RuntimeError, match=r"Never call result.get\(\) within a task!"):
            result.get(timeout=0)
        with pytest.raises(RuntimeError, match="Never call"):
            asyncio.run(result.aget(timeout=0))
        with allow_join_result(), pytest.raises(TimeoutError):
            result.get(timeout=0)
        with pytest.raises(TimeoutError):
            result.get(timeout=0, disable_sync_subtasks=False)
        assert result.state == "PENDING"
    finally:
        pop(token)
    with pytest.raises(TimeoutError):
        result.get(timeout=0)
    with denied_join_result(), pytest.raises(RuntimeError, match="Never call"):
        result.get(timeout=0)


def test_a_task_called_directly_may_wait() -> None:
    @shared_task
    def waits() -> None:
        AsyncResult[Any]("x").get(timeout=0)

    with pytest.raises(TimeoutError):
        waits()


def test_children_are_the_calls_that_the_task_made() -> None:
    @shared_task
    def outer() -> int:
        add.delay(1, 2)
        add.delay(3, 4)
        return 5

    result = outer.delay()
    run_tasks()
    children = result.children
    assert children is not None
    assert [child.get() for child in children] == [3, 7]
    assert list(result.iterdeps()) == [(None, result), *[(result, c) for c in children]]
    assert [value for _, value in result.collect()] == [5, 3, 7]
    assert result.get_leaf() == 7


def test_an_incomplete_tree_is_an_error_unless_that_is_wanted() -> None:
    result = add.delay(1, 2)
    with pytest.raises(IncompleteStream):
        list(result.iterdeps())
    assert list(result.iterdeps(intermediate=True)) == [(None, result)]


def test_a_handle_becomes_a_tuple_and_one_again() -> None:
    parent: AsyncResult[Any] = AsyncResult("p")
    result: AsyncResult[Any] = AsyncResult("c", parent=parent)
    assert result.as_tuple() == (("c", (("p", None), None)), None)
    assert result.as_list() == ["c", "p"]
    for stored in (result.as_tuple(), json.loads(json.dumps(result.as_tuple())), result):
        again = result_from_tuple(stored)
        assert (again, again.parent) == (result, parent)
    assert result_from_tuple(("c", None)) == "c"


def test_a_handle_can_be_returned_and_passed() -> None:
    result: AsyncResult[Any] = AsyncResult("c", parent=AsyncResult("p"))
    stored = decode_result(encode_result(result, what="x"))
    assert stored == [["c", [["p", None], None]], None]
    assert result_from_tuple(stored).parent == "p"


def test_the_setting_names_the_database() -> None:
    elsewhere = override_settings(DJTASKS={**settings.DJTASKS, "DATABASE": "nowhere"})
    with elsewhere, pytest.raises(ConnectionDoesNotExist, match="nowhere"):
        AsyncResult[Any]("x").ready()


@pytest.mark.django_db(transaction=True)
def test_asynchronous_code_has_twins_of_it_all() -> None:
    async def ask() -> None:
        try:
            result = await add.adelay(1, 2)
            assert await result.astate() == "PENDING"
            assert not await result.aready()
            with pytest.raises(TimeoutError):
                await result.aget(timeout=0.05)
            await sync_to_async(run_tasks)()
            assert await result.aget(timeout=60) == 3
            assert await result.aresult() == 3
            await result.aforget()
            assert await result.astate() == states.PENDING
            assert await (await add.aapply_async((1, 2), ignore_result=True)).aget() is None
        finally:
            await sync_to_async(connections.close_all)()

    asyncio.run(ask())
    Worker.objects.all().delete()
