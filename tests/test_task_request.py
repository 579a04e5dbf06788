"""The request of a task, direct calls, the current task, states of one's own."""

from __future__ import annotations

from typing import Any

import pytest

from djtasks import Task, current_task, shared_task
from djtasks.current import get_current_task, get_current_worker_task
from djtasks.exceptions import EncodeError
from djtasks.execution.request import Context, pop, push
from djtasks.models import TaskResult
from djtasks.result import AsyncResult
from tests.own_registry import own_registry  # noqa: F401
from tests.testapp.tasks import add

pytestmark = pytest.mark.usefixtures("own_registry")


def test_a_direct_call_has_a_request_that_says_so() -> None:
    @shared_task(bind=True)
    def work(self: Task[..., Any], *args: Any, **kwargs: Any) -> Any:
        return vars(self.request), self.request.called_directly, self.request.id

    assert work(1, b=2) == ({"args": (1,), "kwargs": {"b": 2}}, True, None)


def test_a_direct_call_inside_a_task_is_a_run_of_its_own() -> None:
    @shared_task(bind=True)
    def inner(self: Task[..., Any]) -> Any:
        return self.request.called_directly, current_task.name, get_current_worker_task()

    @shared_task(bind=True)
    def outer(self: Task[..., Any]) -> Any:
        return inner(), self.request.id, current_task.name

    token = push(outer, Context(id="o", called_directly=False))
    try:
        found = outer.run()
    finally:
        pop(token)
    assert found == ((True, inner.name, outer), "o", outer.name)


def test_a_task_that_calls_itself_keeps_the_request_and_gets_new_arguments() -> None:
    @shared_task(bind=True)
    def work(self: Task[..., Any], depth: int) -> Any:
        if depth:
            return [(self.request.id, self.request.args), *self(depth - 1)]
        return [(self.request.id, self.request.args)]

    token = push(work, Context(id="w", called_directly=False, args=[2]))
    try:
        found = work.run(2)
    finally:
        pop(token)
    assert found == [("w", [2]), ("w", (1,)), ("w", (0,))]


def test_an_own_call_method_gets_the_request_of_its_run_once() -> None:
    seen: list[Any] = []

    class Called(Task[..., Any]):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            seen.append(self.request)
            result = super().__call__(*args, **kwargs)
            seen.append(self.request)
            return result

    @shared_task(bind=True, base=Called)
    def work(self: Task[..., Any]) -> Any:
        seen.append(self.request)

    request = Context(id="w", called_directly=False)
    token = push(work, request)
    try:
        work()
    finally:
        pop(token)
    assert [one is request for one in seen] == [True, True, True]


def test_the_request_ends_when_a_direct_call_raises() -> None:
    @shared_task
    def work() -> None:
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        work()
    assert not current_task
    assert get_current_task() is None


def test_tests_may_push_a_request() -> None:
    @shared_task(bind=True)
    def work(self: Task[..., Any]) -> Any:
        request = self.request
        return request.id, request.retries, request.delivery_info, request.called_directly

    work.push_request(id="x", retries=2, called_directly=False, delivery_info={"priority": 3})
    try:
        assert work.run() == ("x", 2, {"priority": 3}, False)
        assert work() == ("x", 2, {"priority": 3}, False)
        work.push_request({"retries": 5})
        assert work.request.retries == 5
        assert work.request.id == "x"
        work.pop_request()
        assert work.request.retries == 2
    finally:
        work.pop_request()
    assert work.request.id is None


def test_outside_of_a_run_the_request_can_be_set_up_for_a_unit_test() -> None:
    @shared_task(bind=True)
    def work(self: Task[..., Any]) -> Any:
        return self.request.retries

    work.request.retries = 4
    assert work.run() == 4
    assert work() == 4
    assert add.request.retries == 0


def test_the_current_task_stands_for_the_running_one() -> None:
    assert not current_task
    assert repr(current_task) == "None"
    assert current_task == None  # noqa: E711 - Celery's users compare it
    with pytest.raises(AttributeError, match="no task runs here"):
        current_task.request  # noqa: B018
    token = push(add, Context(id="a", called_directly=False))
    try:
        assert current_task
        assert current_task.request.id == "a"
        assert current_task == add
        assert get_current_task() is add
        assert hash(current_task) == hash(add)
    finally:
        pop(token)


def test_a_trail_is_kept_by_hand_too() -> None:
    result: AsyncResult[Any] = AsyncResult("x")
    token = push(add, Context(id="a", called_directly=False))
    try:
        assert add.add_trail(result) is result
        assert add.request.children == [result]
    finally:
        pop(token)


@pytest.mark.django_db
def test_a_state_of_ones_own_is_stored_with_its_meta() -> None:
    token = push(add, Context(id="job-1", called_directly=False))
    try:
        add.update_state(state="PROGRESS", meta={"done": 3, "of": 10})
        result = AsyncResult[Any]("job-1")
        assert (result.state, result.info) == ("PROGRESS", {"done": 3, "of": 10})
        add.update_state(state="PROGRESS", meta={"done": 4})
        assert AsyncResult[Any]("job-1").info == {"done": 4}
    finally:
        pop(token)
    add.update_state("job-2", "WAITING", None)
    assert AsyncResult[Any]("job-2").state == "WAITING"
    add.update_state("job-2", "FAILURE", ValueError("by hand"))
    assert isinstance(AsyncResult[Any]("job-2").result, ValueError)


@pytest.mark.django_db
def test_a_failure_may_be_stored_as_celerys_dict() -> None:
    meta = {"exc_type": "KeyError", "exc_message": ["k"], "exc_module": "builtins"}
    add.update_state("job-3", "FAILURE", meta)
    assert repr(AsyncResult[Any]("job-3").result) == "KeyError('k')"
    add.update_state("job-4", "FAILURE", {"custom": "..."})
    assert AsyncResult[Any]("job-4").result == {"custom": "..."}


@pytest.mark.django_db
def test_no_state_is_stored_for_a_direct_call() -> None:
    @shared_task(bind=True)
    def work(self: Task[..., Any]) -> None:
        self.update_state(state="PROGRESS", meta={})

    work()
    assert not TaskResult.objects.exists()


@pytest.mark.django_db
def test_a_state_that_cannot_be_stored_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs a state"):
        add.update_state("x")
    with pytest.raises(ValueError, match="outside of a run"):
        add.update_state(state="PROGRESS")
    with pytest.raises(EncodeError, match="the meta of state PROGRESS"):
        add.update_state("x", "PROGRESS", object())
