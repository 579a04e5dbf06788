"""Arguments of a call: checked where it is made, with Python's own words, before any SQL."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from djtasks import Task, app, enqueue_many, shared_task
from djtasks.exceptions import EncodeError
from djtasks.header import header_of
from djtasks.models import Message
from djtasks.testing import capture_tasks
from tests.own_registry import own_registry  # noqa: F401
from tests.testapp.tasks import add

pytestmark = pytest.mark.usefixtures("own_registry")


def everything(
    a: int, /, b: int, c: int = 3, *args: int, d: int, e: int = 5, **kw: int
) -> None: ...
def only_keywords(*, a: int, b: int = 1) -> None: ...
def only_positional(a: int, b: int = 1, /) -> None: ...
def nothing() -> None: ...


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (everything, (), {}),
        (everything, (1,), {}),
        (everything, (1, 2), {}),
        (everything, (1, 2, 3, 4, 5), {"e": 1}),
        (everything, (1, 2), {"b": 2, "d": 4}),
        (only_keywords, (1,), {}),
        (only_keywords, (), {}),
        (only_keywords, (), {"a": 1, "z": 2}),
        (only_positional, (), {"a": 1}),
        (only_positional, (1, 2, 3), {}),
        (nothing, (1,), {}),
        (nothing, (), {"x": 1}),
    ],
)
def test_the_check_raises_what_python_raises(function: Any, args: Any, kwargs: Any) -> None:
    with pytest.raises(TypeError) as expected:
        function(*args, **kwargs)
    with pytest.raises(TypeError) as caught:
        shared_task(function).delay(*args, **kwargs)
    assert str(caught.value) == str(expected.value)


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (everything, (1, 2), {"d": 4}),
        (everything, (1,), {"b": 2, "d": 4, "z": 1}),
        (everything, (1, 2, 3, 4, 5), {"d": 4, "e": 1}),
        (only_keywords, (), {"a": 1}),
        (only_positional, (1,), {}),
        (nothing, (), {}),
    ],
)
def test_the_check_passes_what_python_takes(function: Any, args: Any, kwargs: Any) -> None:
    header_of(function, bound=False)(*args, **kwargs)


def test_a_bound_task_is_checked_without_itself() -> None:
    @shared_task(bind=True)
    def work(self: Task[..., Any], x: int) -> None: ...

    with capture_tasks() as calls:
        work.delay(1)
    assert len(calls) == 1
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        work.delay()  # type: ignore[call-arg]


def test_a_class_based_task_is_checked_by_its_run_method() -> None:
    class Work(Task[..., Any]):
        def run(self, x: int) -> None: ...

    class Static(Task[..., Any]):
        @staticmethod
        def run(x: int) -> None: ...

    for cls in (Work, Static):
        with pytest.raises(TypeError, match="'x'"):
            app.register_task(cls).delay()


def test_a_wrapped_function_is_checked_by_what_it_wraps() -> None:
    def plain(x: int) -> None: ...

    @functools.wraps(plain)
    def wrapper(*args: Any, **kwargs: Any) -> None: ...

    with pytest.raises(TypeError, match="'x'"):
        shared_task(wrapper).delay()


def test_without_typing_the_worker_finds_out() -> None:
    @shared_task(typing=False)
    def loose(x: int) -> None: ...

    @shared_task
    def strict(x: int) -> None: ...

    with capture_tasks() as calls:
        loose.delay(1, 2)  # type: ignore[call-arg]
        with override_settings(DJTASKS={**settings.DJTASKS, "TASK_STRICT_TYPING": False}):
            strict.delay()  # type: ignore[call-arg]
    assert [call.args for call in calls] == [(1, 2), ()]


@pytest.mark.parametrize("args", ["abc", 5, {"a": 1}, {1, 2}, iter([1])])
def test_args_must_be_a_list_or_tuple(args: Any) -> None:
    for call in (
        lambda: add.apply_async(args),
        lambda: app.send_task("x", args),
        lambda: enqueue_many([(add, args)]),
    ):
        with pytest.raises(TypeError, match="args must be a list or tuple"):
            call()


@pytest.mark.parametrize("kwargs", ["abc", 5, [("a", 1)]])
def test_kwargs_must_be_a_mapping(kwargs: Any) -> None:
    for call in (
        lambda: add.apply_async((1, 2), kwargs),
        lambda: app.send_task("x", (), kwargs),
        lambda: enqueue_many([(add, (1, 2), kwargs)]),
    ):
        with pytest.raises(TypeError, match="kwargs must be a mapping"):
            call()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "argument", [object(), float("nan"), "a\x00b", "\ud800", {"deep": [lambda: 1]}]
)
def test_what_json_cannot_carry_is_refused_before_any_sql(argument: Any) -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        for call in (
            lambda: add.delay(argument, 2),
            lambda: enqueue_many([(add, (argument, 2))]),
            lambda: app.send_task(add.name, (argument, 2)),
        ):
            with pytest.raises(EncodeError, match=r"args\[0\].*tests.testapp.tasks.add"):
                call()
        assert not queries.captured_queries
        # The caller's transaction is still usable.
        assert Message.objects.count() == 0


@pytest.mark.django_db
def test_arguments_survive_with_their_types() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    result = app.send_task("x", (moment, (1, 2)), {"price": Decimal("1.50")})
    assert result.args == [moment, (1, 2)]
    assert result.kwargs == {"price": Decimal("1.50")}


def test_a_soft_limit_longer_than_the_hard_one_is_an_error_at_the_call() -> None:
    @shared_task(time_limit=5, soft_time_limit=10)
    def work() -> None: ...

    with pytest.raises(ValueError, match="soft_time_limit must be less than or equal"):
        work.delay()
