"""What is kept of runs that were not the last: retries, losses, rejections."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from djtasks import AsyncResult, control
from djtasks.exceptions import Reject, Retry
from djtasks.models import Attempt, Message, TaskResult
from djtasks.queue.attempts import LONGEST_MESSAGE, attempt_members, last_line
from djtasks.queue.outcome import Disposal, Outcome
from djtasks.queue.sql import load
from djtasks.testing import run_tasks
from tests.testapp import tasks
from tests.worker_process import Journal, WorkerProcess, eventually, states, wait_drained

SHORT = {"LEASE": 2.0, "HEARTBEAT_INTERVAL": 0.5}


@pytest.fixture(scope="module")
def worker(live_database: None) -> Iterator[WorkerProcess]:
    """Two children that serve the queue ``shared``."""
    with WorkerProcess("-c", "2", "-Q", "shared", "-n", "first@here") as worker:
        yield worker


@pytest.fixture(autouse=True)
def no_attempts(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "live" in request.fixturenames:
        Attempt.objects.all().delete()


def send(task: str, journal: Journal, *acts: str, queue: str = "shared") -> AsyncResult[str]:
    result: AsyncResult[str] = getattr(tasks, task).apply_async(
        (str(journal), "key", list(acts)), queue=queue
    )
    return result


def kept(*names: str) -> list[tuple[Any, ...]]:
    return list(Attempt.objects.order_by("id").values_list(*names))


# --- retries ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("live", "worker")
def test_every_retry_is_kept() -> None:
    result = tasks.unreachable.apply_async(("the host is away",), queue="shared")
    wait_drained()
    (attempt,) = Attempt.objects.all()
    assert attempt.task_id == UUID(result.id)
    assert (attempt.number, attempt.state, attempt.exception) == (1, "RETRY", "ConnectionError")
    assert attempt.message == "ConnectionError: the host is away"
    assert attempt.worker == "first@here"
    assert attempt.started_at
    assert attempt.runtime
    assert attempt.started_at + timedelta(seconds=attempt.runtime) <= attempt.ended_at
    assert states() == {"FAILURE": 1}


@pytest.mark.usefixtures("live", "worker")
def test_retries_are_kept_where_results_are_ignored() -> None:
    tasks.unreachable.apply_async(("away",), queue="shared", ignore_result=True)
    wait_drained()
    assert not TaskResult.objects.exists()
    assert kept("number", "exception", "message") == [
        (1, "ConnectionError", "ConnectionError: away")
    ]


@pytest.mark.usefixtures("live", "worker")
def test_attempts_are_numbered_in_order() -> None:
    tasks.retry_until.apply_async(("text", 3), queue="shared")
    wait_drained()
    assert kept("number", "state", "exception") == [
        (number, "RETRY", "Retry") for number in (1, 2, 3)
    ]
    assert TaskResult.objects.get().retries == 3


@pytest.mark.usefixtures("live", "worker")
def test_a_run_that_asked_for_a_retry_and_went_on_is_kept_without_an_error() -> None:
    tasks.retry_and_go_on.apply_async(("text",), queue="shared")
    wait_drained()
    assert kept("number", "state", "exception", "message") == [(1, "RETRY", None, None)]


@pytest.mark.usefixtures("live", "worker")
def test_attempts_are_numbered_on_when_an_ended_task_runs_again() -> None:
    result = tasks.unreachable.apply_async(("away",), queue="shared")
    wait_drained()
    control.retry([result.id])
    wait_drained()
    assert kept("number", "state") == [(1, "RETRY"), (2, "FAILURE"), (3, "RETRY")]


# --- losses ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("live", "worker")
def test_a_run_that_is_lost_with_its_child_is_kept(journal: Journal) -> None:
    send("late_reject", journal, "kill-after:0.3", "return")
    wait_drained()
    (attempt,) = Attempt.objects.all()
    assert (attempt.number, attempt.state, attempt.exception) == (1, "LOST", "WorkerLostError")
    assert attempt.message
    assert attempt.message.startswith("djtasks.exceptions.WorkerLostError: Worker exited")
    assert "SIGKILL" in attempt.message
    assert attempt.worker == "first@here"
    assert attempt.started_at
    assert attempt.runtime
    assert 0.3 <= attempt.runtime < 5
    assert states() == {"SUCCESS": 1}


@pytest.mark.usefixtures("live", "worker")
def test_a_loss_that_is_tried_again_is_a_retry(journal: Journal) -> None:
    send("early_retry", journal, "kill", "return")
    wait_drained()
    assert kept("number", "state", "exception") == [(1, "RETRY", "WorkerLostError")]


@pytest.mark.usefixtures("live", "worker")
def test_a_run_that_was_killed_at_its_limit_and_goes_back_is_kept(journal: Journal) -> None:
    send("limited_late", journal, "sleep:60", "return")
    wait_drained()
    ((number, state, exception, runtime),) = kept("number", "state", "exception", "runtime")
    assert (number, state, exception) == (1, "LOST", "TimeLimitExceeded")
    assert 1 <= runtime < 5


@pytest.mark.usefixtures("live", "worker")
def test_a_task_that_leaves_its_worker_and_goes_back_is_kept(journal: Journal) -> None:
    send("late_reject", journal, "exit:3", "return")
    wait_drained()
    ((number, state, message),) = kept("number", "state", "message")
    assert (number, state) == (1, "LOST")
    assert "SystemExit(3)" in message


@pytest.mark.usefixtures("live")
def test_a_run_that_is_lost_with_its_worker_is_kept(journal: Journal) -> None:
    with WorkerProcess("-c", "1", "-Q", "own", "-n", "lost@here", settings=SHORT) as first:
        send("late", journal, "sleep:60", "return", queue="own")
        journal.wait("held key")
        with WorkerProcess("-c", "1", "-Q", "own", "-n", "other@here", settings=SHORT):
            first.kill()
            wait_drained()
    (attempt,) = Attempt.objects.all()
    assert (attempt.number, attempt.state, attempt.exception) == (1, "LOST", "WorkerLostError")
    assert attempt.worker == "lost@here"
    assert attempt.started_at
    assert attempt.runtime is None
    assert TaskResult.objects.get().worker == "other@here"


@pytest.mark.usefixtures("live", "worker")
def test_a_message_that_its_task_gave_back_is_kept_as_rejected() -> None:
    tasks.requeued.apply_async(("text", 1), queue="shared")
    wait_drained()
    ((number, state, exception, message),) = kept("number", "state", "exception", "message")
    assert (number, state, exception) == (1, "REJECTED", "Reject")
    assert "not now" in message


@pytest.mark.usefixtures("live")
def test_what_a_stopping_worker_gives_back_is_no_attempt(journal: Journal) -> None:
    with WorkerProcess("-c", "1", "-Q", "own") as worker:
        send("late", journal, "sleep:60", queue="own")
        journal.wait("held key")
        assert worker.stop(signal.SIGQUIT) == 1
    assert Message.objects.get().worker_id is None
    assert not Attempt.objects.exists()


@pytest.mark.usefixtures("live")
def test_what_a_worker_does_not_know_is_no_attempt(worker: WorkerProcess) -> None:
    tasks.add.apply_async((1, 2), queue="nobody's")
    Message.objects.update(task="unheard of", queue="shared")
    with connection.cursor() as cursor:
        cursor.execute("SELECT djtasks_wake('djtasks_wake', 'shared')")
    eventually(lambda: Message.objects.get().unknown_since)
    assert not Attempt.objects.exists()


# --- how they are told -----------------------------------------------------------------------


def test_an_error_is_kept_by_its_last_line() -> None:
    assert last_line(ValueError("first\nlast\n\n")) == "last"
    assert last_line(KeyError("x")) == "KeyError: 'x'"
    assert last_line(ValueError("a\0b\udc80")) == r"ValueError: a\x00b\udc80"
    assert len(last_line(ValueError("x" * 5000))) == LONGEST_MESSAGE


def test_an_error_whose_text_cannot_be_had_is_kept_all_the_same() -> None:
    class Awkward(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    assert "Awkward" in last_line(Awkward())


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome(Disposal.END, "SUCCESS"), ""),
        (Outcome(Disposal.RETRY, "SUCCESS", retval="first"), ""),
        (Outcome(Disposal.RELEASE, "REJECTED"), ""),
        (
            Outcome(Disposal.RETRY, "RETRY", error=Retry(exc=OSError("away"))),
            ',"raised":"OSError","message":"OSError: away"',
        ),
        (
            Outcome(Disposal.RELEASE, "REJECTED", lost_deliveries=1, retval=Reject("no")),
            f',"attempt":"REJECTED","raised":"Reject","message":"{last_line(Reject("no"))}"',
        ),
    ],
)
def test_only_runs_that_are_followed_by_another_are_told_of(outcome: Outcome, told: str) -> None:
    assert attempt_members(outcome) == told


@pytest.mark.django_db
def test_retries_are_kept_where_tests_run_what_is_queued() -> None:
    tasks.unreachable.delay("away")
    run_tasks(scheduled=True)
    assert kept("number", "state", "exception", "message") == [
        (1, "RETRY", "ConnectionError", "ConnectionError: away")
    ]


# --- for how long ----------------------------------------------------------------------------


def old_attempt(task_id: UUID, days: float = 0) -> Attempt:
    attempt = Attempt.objects.create(task_id=task_id, number=1, state="RETRY")
    Attempt.objects.filter(id=attempt.id).update(ended_at=timezone.now() - timedelta(days=days))
    return attempt


def sweep(limit: int = 1000) -> None:
    after: int | None = 0
    while after is not None:
        with connection.cursor() as cursor:
            cursor.execute(load("sweep_attempts"), {"age": 86400, "after": after, "limit": limit})
            row = cursor.fetchone()
        after = row and row[0]


@pytest.mark.django_db
@pytest.mark.parametrize("limit", [1000, 1, 2])
def test_attempts_without_a_task_are_deleted_when_they_are_old(limit: int) -> None:
    queued = UUID(tasks.add.delay(1, 2).id)
    ended = UUID(int=1)
    TaskResult.objects.create(id=ended, task="t", state="SUCCESS", queue="q")
    stays = [old_attempt(queued, 9), old_attempt(ended, 9)]
    old_attempt(UUID(int=2), 9)
    old_attempt(UUID(int=3), 2)
    stays.append(old_attempt(UUID(int=4), 0.5))
    sweep(limit)
    assert set(Attempt.objects.all()) == set(stays)


@pytest.mark.django_db
def test_attempts_expire_with_their_result() -> None:
    again = UUID(tasks.add.delay(1, 2).id)
    long_ago = timezone.now() - timedelta(days=9)
    for id in (UUID(int=1), again):
        TaskResult.objects.create(id=id, task="t", state="FAILURE", queue="q", date_done=long_ago)
        old_attempt(id)
    with connection.cursor() as cursor:
        cursor.execute(load("prune"), {"age": 86400, "limit": 10})
        assert cursor.fetchone() == (2,)
    # What is queued again under its id needs them still.
    assert kept("task_id") == [(again,)]


@pytest.mark.usefixtures("live")
def test_a_worker_sweeps_old_attempts() -> None:
    old_attempt(UUID(int=1), 9)
    young = old_attempt(UUID(int=2))
    with WorkerProcess("-c", "1", "-Q", "own"):
        eventually(lambda: list(Attempt.objects.all()) == [young])
