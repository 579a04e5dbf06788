"""Retries: the pure rules, and what ``Task.retry()`` decides in a run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from djtasks import Task, shared_task
from djtasks.exceptions import EncodeError, Ignore, MaxRetriesExceededError, Reject, Retry
from djtasks.execution.request import Context, pop, push
from djtasks.execution.retry import RetryPlan as Plan
from djtasks.execution.retry import (
    autoretry_arguments,
    backoff_delay,
    exhausted,
    switch_arguments,
    wants_autoretry,
)
from tests.own_registry import own_registry  # noqa: F401
from tests.testapp.tasks import add

pytestmark = pytest.mark.usefixtures("own_registry")


@pytest.mark.parametrize(
    ("retries", "max_retries", "expected"),
    [(0, 3, False), (2, 3, False), (3, 3, True), (0, 0, True), (10**6, None, False)],
)
def test_a_limit_of_three_allows_four_runs(
    retries: int, max_retries: int | None, expected: bool
) -> None:
    assert exhausted(retries, max_retries) is expected


@pytest.mark.parametrize(
    ("factor", "delays"),
    [
        (1, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]),
        (2, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600]),
        (-1, [1, 2, 4]),
        (0.1, [1, 2, 4]),
        (1.9, [1, 2, 4]),
    ],
)
def test_the_delay_doubles_up_to_its_maximum(factor: float, delays: list[int]) -> None:
    found = [
        backoff_delay(retries, factor=factor, maximum=600, jitter=False)
        for retries in range(len(delays))
    ]
    assert found == delays


def test_a_very_large_number_of_retries_costs_nothing() -> None:
    assert backoff_delay(10**9, factor=1, maximum=600, jitter=False) == 600


def test_jitter_is_any_whole_number_up_to_the_delay() -> None:
    rng = random.Random(0)
    found = {backoff_delay(2, factor=1, maximum=600, jitter=True, rng=rng) for _ in range(200)}
    assert found == {0, 1, 2, 3, 4}


@shared_task(
    autoretry_for=(OSError, Retry, Ignore, Reject),
    dont_autoretry_for=(FileNotFoundError,),
    retry_kwargs={"max_retries": 8, "countdown": 3},
    name="tests.auto",
)
def auto() -> None: ...


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(), True),
        (ConnectionError(), True),
        (FileNotFoundError(), False),
        (ValueError(), False),
        (Retry(), False),
        (Ignore(), False),
        (Reject(), False),
    ],
)
def test_autoretry_is_for_the_errors_it_names(error: Exception, expected: bool) -> None:
    assert wants_autoretry(auto, error) is expected
    assert not wants_autoretry(add, error)


def test_autoretry_passes_retry_kwargs_and_the_backoff() -> None:
    assert autoretry_arguments(auto, 2) == {"max_retries": 8, "countdown": 3}
    assert autoretry_arguments(auto, 2, override=1) == {"max_retries": 1, "countdown": 3}

    @shared_task(retry_backoff=True, retry_backoff_max=5, retry_jitter=False)
    def backing_off() -> None: ...

    delays = [autoretry_arguments(backing_off, n)["countdown"] for n in range(5)]
    assert delays == [1, 2, 4, 5, 5]
    assert backing_off.retry_kwargs == {}


def plain(a: Any, b: Any = None, *rest: Any, c: Any = None, **more: Any) -> None: ...
def positional(a: Any, /, b: Any = None, *, c: Any = None) -> None: ...


@pytest.mark.parametrize(
    ("body", "args", "kwargs", "inherited", "expected"),
    [
        # Nothing new: all is inherited.
        (plain, None, None, ((1,), {"b": 2}), ((1,), {"b": 2})),
        # Both: nothing is.
        (plain, (9,), {"c": 8}, ((1, 2), {"c": 3}), ((9,), {"c": 8})),
        (plain, (), {}, ((1, 2), {"c": 3}), ((), {})),
        # Only args: keywords for the same parameters go, others stay.
        (plain, (9,), None, ((), {"a": 1, "b": 2, "c": 3}), ((9,), {"b": 2, "c": 3})),
        (plain, (9, 8), None, ((1,), {"b": 2, "c": 3}), ((9, 8), {"c": 3})),
        (plain, (), None, ((1,), {"b": 2}), ((), {"b": 2})),
        (plain, (9,), None, ((1, 2), {}), ((9,), {})),
        (positional, (9,), None, ((), {"b": 2, "a": 1}), ((9,), {"b": 2, "a": 1})),
        # Only kwargs: they replace positional ones of the same name.
        (plain, None, {"b": 9}, ((1, 2), {"c": 3}), ((1, 9), {})),
        (plain, None, {"a": 9}, ((1,), {}), ((9,), {})),
        (plain, None, {"c": 9}, ((1, 2, 3), {}), ((1, 2, 3), {"c": 9})),
        (plain, None, {"z": 9}, ((1,), {}), ((1,), {"z": 9})),
        (plain, None, {"b": 9}, ((), {"a": 1}), ((), {"b": 9})),
        (positional, None, {"b": 9}, ((1, 2), {}), ((1, 9), {})),
        # More than the body takes: left for the check of arguments to tell.
        (positional, None, {"b": 9}, ((1, 2, 3), {}), ((1, 2, 3), {"b": 9})),
        (max, None, {"key": 9}, ((1, 2), {}), ((1, 2), {"key": 9})),
        (max, (1,), None, ((), {"key": 9}), ((1,), {"key": 9})),
    ],
)
def test_new_arguments_take_the_place_of_those_they_conflict_with(
    body: Any, args: Any, kwargs: Any, inherited: Any, expected: Any
) -> None:
    assert switch_arguments(body, args, kwargs, *inherited) == expected


@pytest.fixture
def request_() -> Iterator[Context]:
    request = Context(
        id="running", called_directly=False, args=[1], kwargs={"b": 2}, retries=1, hostname="h"
    )
    token = push(add, request)
    yield request
    pop(token)


def plan_of(**kwargs: Any) -> Plan:
    with pytest.raises(Retry) as caught:
        add.retry(**kwargs)
    plan = caught.value.plan
    assert isinstance(plan, Plan)
    return plan


@pytest.mark.usefixtures("request_")
def test_a_retry_waits_for_the_default_delay() -> None:
    with pytest.raises(Retry) as caught:
        add.retry(exc=ValueError("x"))
    assert caught.value.plan == Plan(countdown=180)
    assert str(caught.value) == "Retry in 180s: ValueError('x')"
    assert caught.value.sig.args == (1,)
    assert caught.value.sig.kwargs == {"b": 2}
    assert caught.value.sig.options["task_id"] == "running"
    assert caught.value.sig.options["retries"] == 2


@pytest.mark.usefixtures("request_")
def test_a_retry_waits_for_its_countdown_or_eta() -> None:
    eta = datetime(2030, 1, 1, tzinfo=UTC)
    assert plan_of(countdown=5) == Plan(countdown=5)
    assert plan_of(countdown=0) == Plan(countdown=0)
    assert plan_of(countdown=timedelta(minutes=1)) == Plan(countdown=60)
    assert plan_of(eta=eta) == Plan(eta=eta)
    assert plan_of(eta=eta, countdown=5) == Plan(countdown=5)
    naive = datetime(2030, 1, 1)  # noqa: DTZ001 - the point of the test
    assert plan_of(eta=naive).eta == eta


@pytest.mark.usefixtures("request_")
def test_a_retry_may_change_arguments_which_are_checked_at_once() -> None:
    assert plan_of(args=(7,)) == Plan((7,), {"b": 2}, '[[7],{"b":2}]', countdown=180)
    assert plan_of(kwargs={"b": 5}) == Plan((1,), {"b": 5}, '[[1],{"b":5}]', countdown=180)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'b'"):
        add.retry(kwargs={"a": 5})
    with pytest.raises(TypeError, match="unexpected keyword argument 'c'"):
        add.retry(kwargs={"c": 1})
    with pytest.raises(EncodeError):
        add.retry(args=(object(),))


@pytest.mark.usefixtures("request_")
def test_a_retry_may_change_options() -> None:
    plan = plan_of(
        queue="slow",
        priority=3,
        expires=datetime(2030, 1, 1, tzinfo=UTC),
        headers={"h": 1},
        time_limit=5,
        ignore_result=True,
        serializer="json",
    )
    assert plan.options == {
        "queue": "slow",
        "priority": 3,
        "expires": datetime(2030, 1, 1, tzinfo=UTC),
        "headers": {"h": 1},
        "time_limit": 5,
        "soft_time_limit": None,
        "ignore_result": True,
    }
    for name in ("task_id", "count_down", "enqueue"):
        option: dict[str, Any] = {name: 1}
        with pytest.raises(TypeError, match=rf"retry\(\) cannot change '{name}'"):
            add.retry(**option)


def test_an_exhausted_retry_raises_the_exception_it_was_given(request_: Context) -> None:
    request_.retries = 3
    error = ValueError("x")
    with pytest.raises(ValueError, match="x") as caught:
        add.retry(exc=error)
    assert caught.value is error


def test_an_exhausted_retry_chains_to_the_current_exception(request_: Context) -> None:
    request_.retries = 3
    current = KeyError("current")

    def fail(given: Exception) -> None:
        try:
            raise current
        except KeyError:
            add.retry(exc=given)

    with pytest.raises(ValueError, match="given") as caught:
        fail(ValueError("given"))
    assert caught.value.__cause__ is current
    with pytest.raises(KeyError) as same:
        fail(current)
    assert same.value is current
    assert same.value.__cause__ is None


def test_an_exhausted_retry_without_exception_says_so(request_: Context) -> None:
    request_.retries = 3
    with pytest.raises(MaxRetriesExceededError) as caught:
        add.retry()
    assert str(caught.value) == (
        "Can't retry tests.testapp.tasks.add[running] args:(1,) kwargs:{'b': 2}"
    )
    assert caught.value.task_args == [1]
    assert caught.value.task_kwargs == {"b": 2}
    with pytest.raises(add.MaxRetriesExceededError):
        add.retry()


def test_a_limit_given_to_retry_holds_for_this_attempt(request_: Context) -> None:
    with pytest.raises(MaxRetriesExceededError):
        add.retry(max_retries=1)
    # ... and for the autoretry of the same run.
    assert request_.get("override_max_retries") == 1
    request_.retries = 3
    with pytest.raises(Retry):
        add.retry(max_retries=4)
    assert add.max_retries == 3


def test_without_throw_the_retry_is_returned_and_planned(request_: Context) -> None:
    retry = add.retry(throw=False, countdown=1)
    assert isinstance(retry, Retry)
    assert request_.retry_plan == Plan(countdown=1)


def test_an_eager_retry_without_throw_plans_nothing(request_: Context) -> None:
    request_.update(is_eager=True)
    retry = add.retry(throw=False)
    assert retry.is_eager
    assert request_.retry_plan is None


def test_a_direct_call_raises_the_exception_instead() -> None:
    @shared_task(bind=True)
    def work(self: Task[..., Any], given: Exception | None) -> None:
        try:
            raise KeyError("inner")
        except KeyError:
            self.retry(exc=given)

    with pytest.raises(ValueError, match="given") as caught:
        work(ValueError("given"))
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(Retry, match="Task can be retried"):
        work(None)
