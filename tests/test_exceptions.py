"""One hierarchy, Celery's names and texts; instances survive pickling and ``cls(*args)``."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import django.core.exceptions
import django.db.utils
import pytest

from djtasks import exceptions
from djtasks.exceptions import (
    DjtasksError,
    EncodeError,
    Ignore,
    InstanceGone,
    MaxRetriesExceededError,
    NotRegistered,
    PayloadTooLarge,
    QueueNotFound,
    Reject,
    Retry,
    SoftTimeLimitExceeded,
    TaskError,
    TaskPredicate,
    TimeLimitExceeded,
)

ALL = [getattr(exceptions, name) for name in exceptions.__all__]
ERRORS = [cls for cls in ALL if not issubclass(cls, Warning)]
OF_DJANGO = [exceptions.ImproperlyConfigured, exceptions.OperationalError]


@pytest.mark.parametrize("cls", [cls for cls in ERRORS if cls not in OF_DJANGO])
def test_every_error_is_caught_by_the_base_class(cls: type[Exception]) -> None:
    assert issubclass(cls, DjtasksError)


@pytest.mark.parametrize("cls", [cls for cls in ALL if issubclass(cls, Warning)])
def test_every_warning_is_one_of_ours(cls: type[Warning]) -> None:
    assert issubclass(cls, exceptions.DjtasksWarning)
    assert issubclass(cls, UserWarning)


def test_celery_names() -> None:
    assert exceptions.CeleryError is DjtasksError
    assert exceptions.CeleryWarning is exceptions.DjtasksWarning


def test_djangos_own_classes() -> None:
    assert exceptions.ImproperlyConfigured is django.core.exceptions.ImproperlyConfigured
    assert exceptions.OperationalError is django.db.utils.OperationalError


@pytest.mark.parametrize("cls", [Retry, Ignore, Reject])
def test_predicates_are_no_task_errors(cls: type[Exception]) -> None:
    assert issubclass(cls, TaskPredicate)
    assert not issubclass(cls, TaskError)


def test_other_bases() -> None:
    assert issubclass(NotRegistered, KeyError)
    assert issubclass(QueueNotFound, KeyError)
    assert issubclass(EncodeError, TypeError)
    assert issubclass(PayloadTooLarge, EncodeError)
    assert not issubclass(exceptions.TimeoutError, TimeoutError)


def test_retry_text() -> None:
    assert str(Retry(exc=ValueError("x"), when=180)) == "Retry in 180s: ValueError('x')"
    assert str(Retry(when=3)) == "Retry in 3s"
    assert str(Retry("later, please", ValueError("x"), 3)) == "later, please"
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    assert Retry(when=moment).humanize() == "at 2030-01-01 00:00:00+00:00"


def test_retry_keeps_what_it_was_given() -> None:
    cause = ValueError("x")
    retry = Retry("m", cause, 5, is_eager=True, sig="a signature")
    assert (retry.message, retry.exc, retry.when) == ("m", cause, 5)
    assert (retry.is_eager, retry.sig) == (True, "a signature")


def test_retry_of_a_text_shows_it() -> None:
    retry = Retry(exc="ValueError('x')", when=1)
    assert retry.exc is None
    assert str(retry) == "Retry in 1s: ValueError('x')"


def test_retry_of_an_exception_with_a_broken_repr() -> None:
    class Broken(Exception):
        def __repr__(self) -> str:
            raise RuntimeError("no")

    assert "Broken" in str(Retry(exc=Broken(), when=1))


def test_reject() -> None:
    reject = Reject("full", requeue=True)
    assert (reject.reason, reject.requeue) == ("full", True)
    assert repr(reject) == "reject requeue=True: full"
    assert Reject().requeue is False


def test_not_registered_says_what_to_do() -> None:
    expected = "Task of kind 'shop.tasks.x' never registered, please make sure it's imported."
    assert repr(NotRegistered("shop.tasks.x")) == expected
    assert str(NotRegistered("shop.tasks.x")) == expected


def test_queue_not_found_shows_its_text_unquoted() -> None:
    assert str(QueueNotFound("There is no queue 'x'.")) == "There is no queue 'x'."


def test_max_retries_exceeded_carries_the_arguments() -> None:
    error = MaxRetriesExceededError("no more", task_args=(1,), task_kwargs={"a": 2})
    assert (error.task_args, error.task_kwargs) == ([1], {"a": 2})
    assert str(error) == "no more"
    assert MaxRetriesExceededError().task_kwargs == {}


def test_time_limits_name_the_limit() -> None:
    assert str(TimeLimitExceeded(30)) == "TimeLimitExceeded(30,)"
    assert str(SoftTimeLimitExceeded()) == "SoftTimeLimitExceeded()"


def test_instance_gone_names_the_instance() -> None:
    text = str(InstanceGone("shop.Order", 7, "default"))
    assert "shop.Order with primary key 7 no longer exists in database 'default'" in text


@pytest.mark.parametrize(
    "error",
    [
        Retry("m", None, 5),
        Reject("full", True),
        NotRegistered("x"),
        InstanceGone("shop.Order", 7, "default"),
        TimeLimitExceeded(3),
        MaxRetriesExceededError("no more", task_args=(1,), task_kwargs={"a": 2}),
        PayloadTooLarge("big"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_instances_survive_pickling(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_a_pickled_retry_keeps_its_cause() -> None:
    copy = pickle.loads(pickle.dumps(Retry(exc=ValueError("x"), when=1)))
    assert isinstance(copy.exc, ValueError)
    assert str(copy) == "Retry in 1s: ValueError('x')"


@pytest.mark.parametrize(
    "error",
    [InstanceGone("shop.Order", 7, "default"), Reject("full", True), NotRegistered("x")],
    ids=lambda error: type(error).__name__,
)
def test_instances_can_be_rebuilt_from_their_arguments(error: Exception) -> None:
    assert str(type(error)(*error.args)) == str(error)
