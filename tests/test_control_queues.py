"""Queues are paused, resumed and purged."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import override_settings

from djtasks import chain, chord, control, shared_task
from djtasks.control import Outcome, Reason
from djtasks.models import Attempt, Message, Payload, Queue, TaskResult
from djtasks.testing import run_tasks
from tests.test_control_placing import running
from tests.test_control_retry import because, failed, skipped
from tests.testapp.replace_tasks import double, total
from tests.testapp.tasks import add, echo

pytestmark = pytest.mark.usefixtures("empty")


@shared_task(autoretry_for=(ValueError,), default_retry_delay=600)
def fail_and_retry() -> None:
    """Fail, to be tried again much later."""
    raise ValueError("later")


# --- pause and resume ------------------------------------------------------------------------


def test_a_queue_is_paused_once_and_resumed_once() -> None:
    assert control.pause("mail", reason="the server is down") is True
    since = Queue.objects.get().paused_at
    assert since is not None
    assert control.pause("mail") is False
    assert Queue.objects.values_list("paused_at", "reason").get() == (since, "the server is down")
    assert control.pause("mail", reason="still down") is False
    assert Queue.objects.values_list("paused_at", "reason").get() == (since, "still down")
    assert control.resume("mail") is True
    assert control.resume("mail") is False
    assert Queue.objects.values_list("paused_at", "reason").get() == (None, "")
    assert control.pause("mail") is True


def test_what_was_never_paused_is_not_resumed() -> None:
    assert control.resume("nobody") is False
    assert not Queue.objects.exists()


def test_a_queue_that_cannot_be_is_not_paused() -> None:
    with pytest.raises(ValueError, match="non-empty"):
        control.pause("")
    names = {"TASK_CREATE_MISSING_QUEUES": False, "TASK_QUEUES": ["mail"]}
    with override_settings(DJTASKS=names), pytest.raises(ValueError, match="not in TASK_QUEUES"):
        control.pause("post")


# --- purge -----------------------------------------------------------------------------------


def test_everything_of_a_queue_is_discarded_and_nothing_else() -> None:
    others = [add.apply_async((1, 2), queue="others").key]
    for number in range(3):
        add.apply_async((number, 1), queue="mail", priority=number)
        add.apply_async((number, 2), queue="mail", countdown=60 + number)
        last = chain(add.s(1, 2).set(queue="others"), double.s().set(queue="mail")).apply_async()
        others.append(last.parent.key)
    assert control.purgeable("mail") == Outcome(9)
    assert control.purge("mail") == 9
    assert set(Message.objects.values_list("id", flat=True)) == set(others)
    assert control.purgeable("mail") == Outcome()
    assert control.purge("mail") == 0
    # The steps whose followers are gone run to their end.
    assert [run.state for run in run_tasks()] == ["SUCCESS"] * 4


def test_nothing_remains_of_what_is_discarded() -> None:
    again = failed("y" * 5000, queue="mail")
    control.retry([again.id])
    echo.apply_async(("x" * 5000,), queue="mail")
    assert (Attempt.objects.count(), Payload.objects.count()) == (1, 2)
    assert control.purge("mail") == 2
    for model in (Message, TaskResult, Attempt, Payload):
        assert not model.objects.exists(), model


def test_the_state_of_a_retry_goes_with_its_message() -> None:
    retried = fail_and_retry.apply_async((), queue="mail")
    run_tasks()
    assert retried.state == "RETRY"
    assert control.purge("mail") == 1
    assert not TaskResult.objects.exists()
    assert retried.state == "PENDING"


def test_an_earlier_end_of_the_same_id_stays() -> None:
    failed("x" * 5000, task_id="mine", queue="mail")
    echo.apply_async(("y" * 5000,), task_id="mine", queue="mail")
    assert control.purge("mail") == 1
    assert TaskResult.objects.get().state == "FAILURE"
    assert Payload.objects.count() == 1


def test_what_others_wait_for_ends_as_revoked_with_them() -> None:
    last = chain(
        add.s(1, 2).set(queue="mail"), double.s().set(queue="other"), double.s().set(queue="mail")
    ).apply_async()
    body = chord(
        [double.s(1).set(queue="mail"), double.s(2).set(queue="other")],
        total.s().set(queue="other"),
    ).apply_async()
    assert control.purge("mail") == 3
    assert {step.state for step in (last.parent.parent, last.parent, last)} == {"REVOKED"}
    assert "the queue mail was purged" in str(last.result)
    assert body.state == "FAILURE"
    assert [run.state for run in run_tasks()] == ["SUCCESS"]


def test_what_runs_is_not_purged() -> None:
    running(add.apply_async((1, 2), queue="mail"))
    add.apply_async((1, 2), queue="mail")
    outcome = control.purgeable("mail")
    assert (outcome.done, skipped(outcome)) == (1, because(Reason.RUNNING))
    assert control.purge("mail") == 1
    assert Message.objects.get().worker_id is not None


def test_what_is_enqueued_after_purging_began_stays() -> None:
    add.apply_async((1, 2), queue="mail")
    later = add.apply_async((1, 2), queue="mail")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE djtasks_message SET enqueued_at = now() + interval '1 hour' WHERE id = %s",
            (later.key,),
        )
    assert control.purge("mail") == 1
    assert Message.objects.get().id == later.key


def test_more_than_a_batch_of_every_kind_is_purged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("djtasks.control.ending.READ_AT_ONCE", 300)
    number = control.BATCH + 7
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO djtasks_message (id, task, queue, payload, state, eta, after, feeds)"
            " SELECT gen_random_uuid(), 't', CASE WHEN n %% 2 = 0 THEN 'mail' ELSE 'other' END,"
            " '[[],{}]', n %% 3, CASE n %% 3 WHEN 1 THEN now() + interval '1 day' END,"
            " CASE n %% 3 WHEN 2 THEN gen_random_uuid() END,"
            " CASE WHEN n %% 5 = 0 THEN gen_random_uuid() END"
            " FROM generate_series(1, %s) AS n",
            (6 * number,),
        )
    assert control.purgeable("mail").done == 3 * number
    assert control.purge("mail") == 3 * number
    assert set(Message.objects.values_list("queue", flat=True)) == {"other"}
    assert Message.objects.count() == 3 * number


def test_what_would_be_purged_is_counted_to_a_limit() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO djtasks_message (id, task, queue, payload)"
            " SELECT gen_random_uuid(), 't', 'mail', '[[],{}]' FROM generate_series(1, %s)",
            (control.LIMIT + 5,),
        )
    assert control.purgeable("mail") == Outcome(control.LIMIT, more=True)
