"""A worker runs tasks: arguments, results, order, time, and all the ways to end."""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from djtasks import enqueue_many
from djtasks.exceptions import (
    EncodeError,
    MaxRetriesExceededError,
    Reject,
    TaskRevokedError,
)
from djtasks.models import Message, TaskResult
from tests.testapp import tasks
from tests.testapp.models import Counter, Note
from tests.worker_process import (
    PATIENCE,
    Journal,
    WorkerProcess,
    eventually,
    states,
    wait_drained,
)

pytestmark = pytest.mark.usefixtures("live")


@pytest.fixture(scope="module")
def worker(live_database: None) -> Iterator[WorkerProcess]:
    """Two children that serve all queues, for all tests of this module."""
    with WorkerProcess("-c", "2") as worker:
        yield worker


def notes() -> list[str]:
    return list(Note.objects.order_by("id").values_list("text", flat=True))


def test_a_queue_may_have_any_name(worker: WorkerProcess) -> None:
    names = ["plain", "two words", 'a "quoted", {curly} \\ name', "NULL", "ключ"]
    results = enqueue_many([(tasks.add, (1, 2), None, {"queue": name}) for name in names])
    results += [tasks.add.apply_async((1, 2), queue=name) for name in names]
    assert [result.get(PATIENCE) for result in results] == [3] * 10
    assert {result.queue for result in results} == set(names)


# --- arguments and results -------------------------------------------------------------------


def test_arguments_and_results_keep_their_types(worker: WorkerProcess) -> None:
    given = (
        1,
        "text ☃",
        1.5,
        None,
        True,
        dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC),
        dt.date(2026, 1, 2),
        dt.timedelta(seconds=1.5),
        Decimal("1.10"),
        uuid.uuid4(),
        b"\x00\xff",
        {1, 2},
        (1, (2, 3)),
        {"a": [1, {"b": Decimal(2)}]},
    )
    result = tasks.echo.delay(*given, name="x", when=dt.time(1, 2))
    assert result.get(PATIENCE) == [given, {"name": "x", "when": dt.time(1, 2)}]
    names = [type(value).__name__ for value in given]
    assert tasks.kinds.delay(*given).get(PATIENCE) == names


def test_a_model_instance_is_fetched_anew_in_the_worker(worker: WorkerProcess) -> None:
    counter = Counter.objects.create(name="visits", value=3)
    Counter.objects.filter(pk=counter.pk).update(value=4)
    result = tasks.echo.delay(counter)
    [[received], _] = result.get(PATIENCE)
    assert isinstance(received, Counter)
    assert received == counter
    assert received.value == 4


def test_an_instance_that_is_gone_is_a_failure_that_names_it(worker: WorkerProcess) -> None:
    counter = Counter.objects.create(name="short lived")
    with transaction.atomic():
        result = tasks.echo.delay(counter)
        pk = counter.pk
        Counter.objects.all().delete()
    with pytest.raises(Exception, match=f"testapp.*{pk}") as caught:
        result.get(PATIENCE)
    assert type(caught.value).__name__ == "InstanceGone"
    assert result.state == "FAILURE"


def test_a_result_that_json_cannot_carry_is_a_failure(worker: WorkerProcess) -> None:
    result = tasks.make_object.delay()
    with pytest.raises(EncodeError, match="result of task"):
        result.get(PATIENCE)


def test_arguments_of_a_megabyte_arrive(worker: WorkerProcess) -> None:
    text = "0123456789abcdef" * 65536
    result = tasks.echo.delay(text)
    assert result.get(PATIENCE) == [(text,), {}]
    assert result.args == [text]


def test_the_request_tells_where_and_for_whom_a_task_runs(worker: WorkerProcess) -> None:
    result = tasks.describe.apply_async(headers={"x": 1}, priority=7, queue="mail")
    told = result.get(PATIENCE)
    assert told["id"] == told["root_id"] == told["current"] == result.id
    assert told["parent_id"] is None
    assert told["task"] == "tests.testapp.tasks.describe"
    assert told["headers"] == {"x": 1}
    assert (told["queue"], told["priority"]) == ("mail", 7)
    assert told["retries"] == 0
    assert told["hostname"].startswith("worker@")
    assert told["eager"] is False


def test_tasks_that_a_task_calls_are_its_children(worker: WorkerProcess) -> None:
    result = tasks.enqueue_others.delay(["a", "b"])
    ids = result.get(PATIENCE)
    wait_drained()
    assert sorted(notes()) == ["a", "b"]
    assert [child.id for child in result.children or []] == ids
    parents = TaskResult.objects.filter(id__in=ids).values_list("parent_id", "root_id")
    assert set(parents) == {(result.key, result.key)}


# --- order and time --------------------------------------------------------------------------


def test_a_countdown_ends_on_time(worker: WorkerProcess) -> None:
    began = timezone.now()
    result = tasks.record.apply_async(("later",), countdown=1.0)
    assert result.state == "PENDING"
    result.get(PATIENCE)
    row = TaskResult.objects.get(id=result.id)
    assert row.started_at is not None
    waited = (row.started_at - began).total_seconds()
    # A worker that nothing tells of the due time would look five seconds after the call.
    assert 1.0 <= waited < 5


def test_an_eta_is_kept_and_does_not_hold_up_others(worker: WorkerProcess) -> None:
    eta = timezone.now() + dt.timedelta(seconds=4)
    later = tasks.record.apply_async(("later",), eta=eta)
    tasks.record.delay("now").get(PATIENCE)
    assert notes() == ["now"]
    later.get(PATIENCE)
    assert timezone.now() >= eta
    assert notes() == ["now", "later"]


def test_an_expired_message_is_revoked_and_not_run(worker: WorkerProcess) -> None:
    result = tasks.record.apply_async(("stale",), expires=timezone.now() - dt.timedelta(seconds=1))
    with pytest.raises(TaskRevokedError, match="expired"):
        result.get(PATIENCE)
    assert result.state == "REVOKED"
    assert notes() == []


def test_a_message_that_expires_while_it_is_scheduled_is_revoked(worker: WorkerProcess) -> None:
    result = tasks.record.apply_async(("stale",), countdown=0.6, expires=0.3)
    with pytest.raises(TaskRevokedError):
        result.get(PATIENCE)
    assert notes() == []


# --- ways to end -----------------------------------------------------------------------------


def test_a_failure_comes_back_as_its_exception_with_its_traceback(worker: WorkerProcess) -> None:
    result = tasks.fail.delay("broken")
    with pytest.raises(ValueError, match=r"^broken$"):
        result.get(PATIENCE)
    assert result.state == "FAILURE"
    assert "raise ValueError(text)" in (result.traceback or "")
    row = TaskResult.objects.get(id=result.id)
    assert row.exception == "ValueError"
    assert row.worker
    assert row.date_done


def test_a_task_is_retried_until_it_succeeds(worker: WorkerProcess) -> None:
    result = tasks.retry_until.delay("again", 2)
    assert result.get(PATIENCE) == 2
    assert notes() == ["again"] * 3
    assert result.retries == 2


def test_retries_end_with_an_error_when_none_is_left(worker: WorkerProcess) -> None:
    result = tasks.retry_until.delay("again", 99)
    with pytest.raises(MaxRetriesExceededError):
        result.get(PATIENCE)
    assert notes() == ["again"] * 4


def test_a_retry_may_change_arguments_and_queue(worker: WorkerProcess) -> None:
    result = tasks.retry_with_other_arguments.delay("once")
    assert result.get(PATIENCE) == "once again"
    assert TaskResult.objects.get(id=result.id).queue == "retried"


def test_a_retry_that_does_not_raise_lets_the_task_go_on(worker: WorkerProcess) -> None:
    result = tasks.retry_and_go_on.delay("it")
    eventually(lambda: not Message.objects.exists(), "both runs")
    assert result.get(PATIENCE) == "second"
    assert notes() == ["it went on"]


def test_autoretry_waits_as_backoff_says_and_ends_with_the_exception(
    worker: WorkerProcess,
) -> None:
    began = time.monotonic()
    result = tasks.unreachable.delay("down")
    eventually(lambda: result.state == "RETRY", "the first failure")
    assert isinstance(result.result, ConnectionError)
    assert Message.objects.get(id=result.id).state == 1
    with pytest.raises(ConnectionError, match="down"):
        result.get(PATIENCE)
    assert time.monotonic() - began > 0.9
    assert notes() == ["down"] * 2


def test_ignore_leaves_no_state(worker: WorkerProcess) -> None:
    result = tasks.ignored.delay()
    wait_drained()
    assert not TaskResult.objects.filter(id=result.id).exists()


def test_a_rejected_message_is_a_failure(worker: WorkerProcess) -> None:
    result = tasks.rejected.delay("not mine")
    with pytest.raises(Reject):
        result.get(PATIENCE)
    assert result.state == "FAILURE"


def test_a_requeued_message_runs_again(worker: WorkerProcess) -> None:
    assert tasks.requeued.delay("soon", 2).get(PATIENCE) == "soon"
    assert notes() == ["soon"] * 3


def test_ignore_result_stores_nothing(worker: WorkerProcess) -> None:
    tasks.record_quietly.delay("quiet")
    tasks.record.apply_async(("also quiet",), ignore_result=True)
    eventually(lambda: len(notes()) == 2, "both")
    wait_drained()
    assert not TaskResult.objects.exists()


def test_errors_are_stored_although_results_are_ignored(worker: WorkerProcess) -> None:
    tasks.quiet_but_for_errors.delay(False)
    failed = tasks.quiet_but_for_errors.delay(True)
    wait_drained()
    assert states() == {"FAILURE": 1}
    assert TaskResult.objects.get().id == failed.key


def test_a_state_of_its_own_is_seen_while_the_task_runs(
    worker: WorkerProcess, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    result = tasks.progress.delay(str(gate))
    eventually(lambda: result.state == "PROGRESS", "the task's own state")
    assert result.info == {"done": 50}
    assert not result.ready()
    gate.touch()
    assert result.get(PATIENCE) == "done"


@pytest.mark.parametrize(("task", "seen"), [("tracked", "STARTED"), ("progress", "PROGRESS")])
def test_track_started_decides_what_is_seen_of_a_running_task(
    worker: WorkerProcess, tmp_path: Path, task: str, seen: str
) -> None:
    gate = tmp_path / "gate"
    result = getattr(tasks, task).delay(str(gate))
    eventually(lambda: result.state == seen, f"the state {seen}")
    if seen == "STARTED":
        assert set(result.info) == {"pid", "hostname"}
    gate.touch()
    result.get(PATIENCE)


def test_a_running_task_is_pending_where_its_start_is_not_tracked(
    worker: WorkerProcess, journal: Journal, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    result = tasks.early.delay(str(journal), "x", [f"gate:{gate}"])
    journal.wait("begin x")
    assert result.state == "PENDING"
    assert result.worker
    gate.touch()
    result.get(PATIENCE)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("ok", ["before_start", "run", "on_success ok", "after_return SUCCESS"]),
        ("fail", ["before_start", "run", "on_failure fail", "after_return FAILURE"]),
        (
            "retry",
            [
                "before_start",
                "run",
                "on_retry retry",
                "before_start",
                "run",
                "on_success retry",
                "after_return SUCCESS",
            ],
        ),
    ],
)
def test_handlers_are_called_in_celerys_order(
    worker: WorkerProcess, how: str, told: list[str]
) -> None:
    tasks.watched.delay(how)
    wait_drained()
    assert notes() == told


def test_links_get_the_result_and_errbacks_the_id(worker: WorkerProcess) -> None:
    tasks.add.apply_async((1, 2), link=tasks.record.s())
    failed = tasks.fail.apply_async(("no",), link_error=tasks.errback.s(), link=tasks.record.s())
    eventually(lambda: len(notes()) == 2, "link and errback")
    wait_drained()
    assert sorted(notes()) == ["3", f"errback {failed.id}"]


# --- coroutines ------------------------------------------------------------------------------


def test_a_coroutine_is_awaited_in_a_child(worker: WorkerProcess) -> None:
    results = [tasks.record_async.delay(str(n)) for n in range(10)]
    assert [result.get(PATIENCE) for result in results] == [str(n) for n in range(10)]
    assert sorted(notes()) == [str(n) for n in range(10)]


# --- many at once ----------------------------------------------------------------------------


def test_what_waits_behind_a_long_task_is_given_to_another_child(
    worker: WorkerProcess, tmp_path: Path
) -> None:
    # Measured first, so that chunks are long.
    enqueue_many([(tasks.sleep, (0.001,), {}) for _ in range(100)])
    wait_drained()
    gate = tmp_path / "gate"
    calls: list[tuple[Any, tuple[Any]]] = [(tasks.sleep, (0.001,)) for _ in range(1000)]
    calls[500] = (tasks.tracked, (str(gate),))
    results = enqueue_many(calls)
    try:
        # The long one does not end before them.
        eventually(lambda: states()["SUCCESS"] >= 100 + 999, "all but the long one")
        assert not results[500].ready()
    finally:
        gate.touch()
    results[500].get(PATIENCE)
    assert states() == {"SUCCESS": 1100}


# --- the worker's row and connections --------------------------------------------------------


def test_results_are_json_that_others_can_read(worker: WorkerProcess) -> None:
    result = tasks.add.delay(2, 3)
    result.get(PATIENCE)
    assert json.loads(TaskResult.objects.get(id=result.id).result or "") == 5


@pytest.mark.usefixtures("sound_wait")
def test_a_waiting_caller_is_woken(worker: WorkerProcess) -> None:
    for _ in range(10):
        tasks.add.delay(1, 1).get(PATIENCE)
