"""Options of a declaration: defaults, settings, types, typing errors."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from djtasks import Task, app, shared_task
from djtasks.exceptions import MaxRetriesExceededError, OperationalError
from djtasks.options import IGNORED_TASK_OPTIONS, TASK_OPTIONS
from djtasks.registry import registry
from tests.own_registry import own_registry  # noqa: F401

pytestmark = pytest.mark.usefixtures("own_registry")


def with_setting(**values: Any) -> Any:
    return override_settings(DJTASKS={**settings.DJTASKS, **values})


def declare(**options: Any) -> Task[..., Any]:
    def work() -> None: ...

    registry.pop("tests.test_task_options.work", None)
    task: Task[..., Any] = shared_task(**options)(work)
    return task


def test_the_defaults_are_celerys() -> None:
    task = declare()
    assert {name: getattr(task, name) for name in TASK_OPTIONS if hasattr(task, name)} == {
        "name": "tests.test_task_options.work",
        "bind": False,
        "typing": True,
        "autoretry_for": (),
        "dont_autoretry_for": (),
        "retry_kwargs": {},
        "retry_backoff": False,
        "retry_backoff_max": 600,
        "retry_jitter": True,
        "max_retries": 3,
        "default_retry_delay": 180,
        "throws": (),
        "ignore_result": False,
        "store_errors_even_if_ignored": False,
        "store_eager_result": False,
        "track_started": False,
        "acks_late": False,
        "acks_on_failure_or_timeout": True,
        "acks_on_failure": True,
        "acks_on_timeout": True,
        "reject_on_worker_lost": None,
        "retry_on_worker_lost": False,
        "time_limit": None,
        "soft_time_limit": None,
        "expires": None,
        "queue": None,
        "priority": None,
        "resultrepr_maxsize": 1024,
        "trail": True,
        "atomic": False,
        "enqueue": "transaction",
        "max_deliveries": 5,
        "unique": None,
        "unique_key": None,
        "unique_for": None,
        "unique_on_conflict": "existing",
        "rate_limit": None,
        "rate_limit_scope": "global",
        "concurrency_limit": None,
        "concurrency_key": None,
        "order_key": None,
        "fair_key": None,
    }
    assert task.MaxRetriesExceededError is MaxRetriesExceededError
    assert task.OperationalError is OperationalError


@pytest.mark.parametrize(
    ("option", "setting", "value"),
    [
        ("acks_late", "TASK_ACKS_LATE", True),
        ("acks_on_failure_or_timeout", "TASK_ACKS_ON_FAILURE_OR_TIMEOUT", False),
        ("acks_on_failure", "TASK_ACKS_ON_FAILURE", False),
        ("acks_on_timeout", "TASK_ACKS_ON_FAILURE_OR_TIMEOUT", False),
        ("reject_on_worker_lost", "TASK_REJECT_ON_WORKER_LOST", True),
        ("retry_on_worker_lost", "TASK_RETRY_ON_WORKER_LOST", True),
        ("ignore_result", "TASK_IGNORE_RESULT", True),
        ("store_errors_even_if_ignored", "TASK_STORE_ERRORS_EVEN_IF_IGNORED", True),
        ("track_started", "TASK_TRACK_STARTED", True),
        ("typing", "TASK_STRICT_TYPING", False),
        ("max_deliveries", "MAX_DELIVERIES", 2),
        ("enqueue", "ENQUEUE", "on_commit"),
    ],
)
def test_an_option_that_is_not_set_follows_its_setting(
    option: str, setting: str, value: object
) -> None:
    task = declare()
    before = getattr(task, option)
    with with_setting(**{setting: value}):
        assert getattr(task, option) == value
        assert task.option(option) == value
        # What a task says itself wins; None says nothing.
        said = declare(**{option: before})
        assert getattr(said, option) == (value if before is None else before)
    assert getattr(task, option) == before


def test_none_is_not_set_even_over_a_base_class() -> None:
    class Late(Task[..., Any]):
        acks_late = True

    class Unset(Late):
        acks_late = None  # type: ignore[assignment]

    assert declare(base=Late).acks_late is True
    assert declare(base=Late, acks_late=None).acks_late is False
    assert declare(base=Unset).acks_late is False
    with with_setting(TASK_ACKS_LATE=True):
        assert declare(base=Unset).acks_late is True


def test_no_limit_of_retries_is_none() -> None:
    assert declare(max_retries=None).max_retries is None
    assert declare(max_retries=0).max_retries == 0


def test_exceptions_may_be_given_alone_or_in_any_collection() -> None:
    assert declare(autoretry_for=OSError).autoretry_for == (OSError,)
    assert declare(throws=[KeyError, ValueError]).throws == (KeyError, ValueError)
    assert declare(dont_autoretry_for=(KeyError,)).dont_autoretry_for == (KeyError,)


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("max_retry", "max_retries"),
        ("ack_late", "acks_late"),
        ("autoretry", "autoretry_for"),
        ("retry_backof", "retry_backoff"),
        ("ignore_results", "ignore_result"),
        ("time_limits", "time_limit"),
        ("soft_limit", "soft_time_limit"),
        ("expire", "expires"),
        ("on_fail", "on_failure"),
        ("default_retry", "default_retry_delay"),
        ("throw", "throws"),
        ("rate_limits", "rate_limit"),
        ("atomics", "atomic"),
        ("max_delivery", "max_deliveries"),
    ],
)
def test_a_near_miss_is_an_error_that_names_the_option(misspelt: str, meant: str) -> None:
    with pytest.raises(TypeError, match=rf"unknown option '{misspelt}'. Did you mean '{meant}'"):
        declare(**{misspelt: 1})


@pytest.mark.parametrize("name", ["count", "retries_of_mine", "verbose", "template", "tenant"])
def test_any_other_option_becomes_an_attribute(name: str) -> None:
    assert getattr(declare(**{name: 42}), name) == 42


@pytest.mark.parametrize("name", ["delay", "run", "retry", "request", "s", "app", "overrides"])
def test_an_option_must_not_hide_what_every_task_has(name: str) -> None:
    with pytest.raises(TypeError, match=f"the option '{name}' would hide"):
        declare(**{name: 1})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_retries", "3"),
        ("max_retries", -1),
        ("default_retry_delay", -1),
        ("acks_late", 1),
        ("autoretry_for", (1,)),
        ("autoretry_for", "OSError"),
        ("retry_kwargs", [("countdown", 1)]),
        ("retry_backoff", "fast"),
        ("time_limit", 0),
        ("soft_time_limit", True),
        ("queue", ""),
        ("priority", 1.5),
        ("priority", 2**31),
        ("enqueue", "later"),
        ("max_deliveries", 0),
        ("name", 5),
        ("expires", True),
        ("on_success", "function"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_task_and_option(option: str, value: object) -> None:
    with pytest.raises(TypeError, match=option) as caught:
        declare(**{option: value})
    assert "Task " in str(caught.value)


def test_options_of_brokers_are_taken_and_ignored() -> None:
    task = declare(**dict.fromkeys(IGNORED_TASK_OPTIONS, "x"))
    assert not hasattr(task, "exchange")
    assert all(reason for reason in IGNORED_TASK_OPTIONS.values())


@pytest.mark.parametrize("rate", ["10/m", "0.5/s", "3/h", 5, 0.5, "7"])
def test_a_rate_limit_is_written_as_in_celery(rate: str | float) -> None:
    assert declare(rate_limit=rate).rate_limit == rate


@pytest.mark.parametrize("rate", ["10/d", "fast", "-1/s", "", True, (1, "m")])
def test_what_is_no_rate_is_refused_where_it_is_declared(rate: object) -> None:
    with pytest.raises(TypeError, match='the option rate_limit must be a rate such as "100/m"'):
        declare(rate_limit=rate)


def test_annotations_of_the_settings_change_tasks() -> None:
    def on_failure(self: Task[..., Any], *args: Any) -> None: ...

    def doubled(call: Any) -> Any:
        return lambda self, *args, **kwargs: call(self, *args, **kwargs) * 2

    annotations = {
        "*": {"trail": False},
        "annotated": {"max_retries": 11, "on_failure": on_failure, "@__call__": doubled},
    }
    with with_setting(TASK_ANNOTATIONS=annotations):

        @shared_task(name="annotated")
        def work() -> int:
            return 4

        other = declare()
    assert work.max_retries == 11
    assert work() == 8
    assert work.overrides == {"on_failure", "__call__"}
    assert (work.trail, other.trail, other.max_retries) == (False, False, 3)


def test_annotations_may_be_an_object_and_a_list() -> None:
    class ByQueue:
        def annotate(self, task: Task[..., Any]) -> dict[str, Any] | None:
            return {"priority": 9} if task.queue == "mail" else None

    with with_setting(TASK_ANNOTATIONS=[{"*": {"resultrepr_maxsize": 10}}, ByQueue()]):
        mail, other = declare(queue="mail"), declare()
    assert (mail.priority, other.priority) == (9, None)
    assert (mail.resultrepr_maxsize, other.resultrepr_maxsize) == (10, 10)


def test_options_given_to_register_task_are_checked_too() -> None:
    class Work(Task[..., Any]):
        name = "some.work"

    with pytest.raises(TypeError, match="Did you mean 'max_retries'"):
        app.register_task(Work, max_retry=1)
