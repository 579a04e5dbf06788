"""Ended tasks run again: under their id, or as new calls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from djtasks import AsyncResult, chain, chord, control, states
from djtasks.control import Outcome, Reason
from djtasks.models import Attempt, Input, Join, Message, Payload, TaskResult
from djtasks.queue.revoke import revoke
from djtasks.queue.state import store_state
from djtasks.testing import run_tasks
from tests.testapp.flow_tasks import note
from tests.testapp.replace_tasks import double, total
from tests.testapp.tasks import add, errback, fail, record_quietly, retry_until

pytestmark = pytest.mark.usefixtures("empty")


def skipped(outcome: Outcome) -> dict[str, int]:
    """The reasons by their texts, as people see them."""
    return {str(reason): count for reason, count in outcome.skipped.items()}


def because(*reasons: Reason) -> dict[str, int]:
    return {str(reason.label): reasons.count(reason) for reason in reasons}


def failed(*args: Any, **options: Any) -> AsyncResult[Any]:
    """A task that has ended as FAILURE."""
    result = fail.apply_async(args or ("first",), **options)
    run_tasks()
    assert result.state == states.FAILURE
    return result


def test_a_failed_task_runs_again_with_everything_it_had() -> None:
    failed(
        "again",
        queue="mail",
        priority=7,
        headers={"who": "me"},
        link_error=errback.s(),
        task_id="order-42",
    )
    old = TaskResult.objects.get(custom_id="order-42")
    assert control.retry(["order-42"]) == Outcome(1)
    message = Message.objects.get()
    for name in ("id", "custom_id", "task", "queue", "rank", "payload", "options"):
        assert getattr(message, name) == getattr(old, name), name
    assert (message.state, message.retries, message.deliveries) == (0, 0, 0)
    assert (message.eta, message.expires, message.worker_id) == (None, None, None)
    assert not TaskResult.objects.filter(id=old.id).exists()
    assert AsyncResult[Any]("order-42").state == states.PENDING
    run_tasks()
    assert AsyncResult[Any]("order-42").state == states.FAILURE


def test_the_ended_run_is_kept_as_an_attempt() -> None:
    result = failed("what a pity")
    old = TaskResult.objects.get()
    control.retry([result.id])
    attempt = Attempt.objects.get()
    assert (attempt.task_id, attempt.number) == (result.key, 1)
    assert (attempt.state, attempt.exception) == ("FAILURE", "ValueError")
    assert attempt.message == "ValueError: what a pity"
    assert (attempt.worker, attempt.started_at, attempt.ended_at, attempt.runtime) == (
        old.worker,
        old.started_at,
        old.date_done,
        old.runtime,
    )
    run_tasks()
    control.retry([result.id])
    assert list(Attempt.objects.order_by("id").values_list("number", flat=True)) == [1, 2]


def test_a_revoked_run_tells_its_reason_in_the_attempt() -> None:
    result = add.delay(1, 2)
    revoke([result.key], reason='not "needed"')
    assert control.retry([result.key]).done == 1
    attempt = Attempt.objects.get()
    assert (attempt.state, attempt.exception) == ("REVOKED", "TaskRevokedError")
    assert attempt.message == 'not \\"needed\\"'
    run_tasks()
    assert result.get(timeout=0) == 3


def test_retries_are_counted_from_nought_again() -> None:
    result = retry_until.delay("text", 9)
    run_tasks(scheduled=True)
    assert TaskResult.objects.get().retries == 3
    control.retry([result.id])
    assert Message.objects.get().retries == 0
    runs = run_tasks(scheduled=True)
    assert [run.state for run in runs] == ["RETRY"] * 3 + ["FAILURE"]
    # One more than the retries that there were, whoever else keeps attempts.
    number = Attempt.objects.filter(state="FAILURE").values_list("number", flat=True).get()
    assert number >= 4


def test_a_task_that_succeeded_runs_again_only_when_that_is_said() -> None:
    result = add.delay(1, 2)
    run_tasks()
    assert skipped(control.retry([result.id])) == because(Reason.SUCCEEDED)
    assert control.retry([result.id], also_succeeded=True).done == 1
    assert [run.result for run in run_tasks()] == [3]
    assert Attempt.objects.get().state == "SUCCESS"


def test_what_cannot_run_again_is_passed_over_and_told() -> None:
    queued = add.delay(1, 1)
    running = add.delay(2, 2)
    Message.objects.filter(id=running.key).update(worker_id=12345)
    store_state(unsent := uuid4(), "FAILURE", "{}")
    store_state(unended := uuid4(), "PROGRESS", "{}")
    ids: Sequence[UUID | str] = [queued.id, running.key, unsent, unended, uuid4(), "no such task"]
    for keep_id in (True, False):
        outcome = control.retry(ids, keep_id=keep_id)
        assert outcome.done == 0
        assert skipped(outcome) == because(
            Reason.QUEUED,
            Reason.RUNNING,
            Reason.NO_CALL,
            Reason.NO_END,
            Reason.UNKNOWN,
            Reason.UNKNOWN,
        )
    assert outcome.passed_over == 6
    assert Message.objects.count() == 2


def test_the_same_task_named_twice_runs_once() -> None:
    result = failed()
    assert control.retry([result.id, result.key, result.id.upper()]) == Outcome(1)
    assert Message.objects.count() == 1


def test_large_arguments_are_neither_copied_nor_lost() -> None:
    result = failed("x" * 5000)
    control.retry([result.id])
    assert Payload.objects.count() == 1
    assert str(run_tasks()[0].error) == "x" * 5000


def test_what_was_not_due_or_had_expired_runs_at_once() -> None:
    result = add.apply_async((1, 2), countdown=3600, expires=7200)
    revoke([result.key])
    control.retry([result.id])
    assert [run.result for run in run_tasks()] == [3]


def test_tasks_become_ready_in_the_order_in_which_they_were_made() -> None:
    made = [fail.delay(str(number)) for number in range(20)]
    run_tasks()
    control.retry([result.id for result in reversed(made)])
    assert [run.task_id for run in run_tasks()] == [result.id for result in made]


def test_a_task_that_ignores_results_leaves_no_old_end_behind() -> None:
    result = record_quietly.delay("text")
    revoke([result.key])
    control.retry([result.id])
    run_tasks()
    assert not TaskResult.objects.exists()


# --- as a new call ---------------------------------------------------------------------------


def test_a_new_call_leaves_the_old_one_as_it_ended() -> None:
    old = failed("again", queue="mail", priority=3, headers={"who": "me"}, task_id="mine")
    outcome = control.retry([old.id], keep_id=False)
    message = Message.objects.get()
    assert outcome == Outcome(1, {}, (message.id,))
    assert (message.queue, message.priority, message.custom_id) == ("mail", 3, None)
    assert json.loads(message.options or "") == {"headers": {"who": "me"}}
    assert (message.root_id, message.parent_id) == (None, None)
    assert not Attempt.objects.exists()
    run_tasks()
    assert [old.state, AsyncResult[Any](message.id).state] == ["FAILURE", "FAILURE"]


def test_new_calls_have_large_arguments_of_their_own() -> None:
    old = failed("x" * 5000)
    (new,) = control.retry([old.id], keep_id=False).ids
    old.forget()
    assert str(run_tasks()[0].error) == "x" * 5000
    assert set(Payload.objects.values_list("id", flat=True)) == {new}


def test_as_many_as_there_are_in_batches() -> None:
    made = [fail.delay(str(number)) for number in range(control.BATCH + 20)]
    run_tasks()
    outcome = control.retry([result.id for result in made], keep_id=False)
    assert (outcome.done, len(set(outcome.ids))) == (len(made), len(made))
    assert len(run_tasks()) == len(made)


def test_options_that_are_no_json_stay_as_somebody_wrote_them() -> None:
    old = failed()
    TaskResult.objects.update(options="[broken")
    assert control.retry([old.id], keep_id=False).done == 1
    assert Message.objects.get().options == "[broken"


# --- in workflows ----------------------------------------------------------------------------


def test_a_failed_step_runs_again_alone() -> None:
    last = chain(fail.si("step"), double.s()).apply_async()
    run_tasks()
    assert last.state == states.FAILURE
    assert control.retry([last.parent.id]).done == 1
    message = Message.objects.get()
    assert message.root_id is not None
    assert [run.state for run in run_tasks()] == ["FAILURE"]
    assert last.state == states.FAILURE


def test_what_never_got_its_arguments_is_passed_over() -> None:
    last = chain(fail.si("step"), double.s()).apply_async()
    run_tasks()
    for keep_id in (True, False):
        assert skipped(control.retry([last.id], keep_id=keep_id)) == because(Reason.NEVER_RAN)


def test_a_step_that_had_its_arguments_runs_again_with_them() -> None:
    last = chain(add.s(1, 2), fail.s()).apply_async()
    run_tasks()
    assert control.retry([last.id]).done == 1
    (run,) = run_tasks()
    assert str(run.error) == "3"


def test_a_chord_does_not_count_a_member_twice() -> None:
    """Its first member succeeds, and again, while the second is still to come."""
    body = chord(
        [double.s(1), double.s(2).set(queue="later"), double.s(3).set(queue="later")], total.s()
    ).apply_async()
    run_tasks(queues=["celery"])
    first = TaskResult.objects.get()
    assert control.retry([first.id], also_succeeded=True).done == 1
    run_tasks(queues=["celery"])
    assert Join.objects.get().missing == 2
    assert body.state == states.PENDING
    run_tasks()
    assert body.get(timeout=0) == 12
    assert not Input.objects.exists()


def test_a_new_call_of_a_member_is_in_no_chord() -> None:
    chord([double.s(1), fail.si("member")], note.s()).apply_async()
    run_tasks()
    outcome = control.retry(
        [TaskResult.objects.get(task=fail.name).id], keep_id=False, also_succeeded=True
    )
    message = Message.objects.get(id=outcome.ids[0])
    assert (message.feeds, message.after, message.position, message.root_id) == (None,) * 4
    assert "group" not in (message.options or "")
