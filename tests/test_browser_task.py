"""One task whole: its timeline, its texts, its relatives, and the runs before it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from djtasks import chain, chord, control
from djtasks.browser.task import MOST_ATTEMPTS, MOST_RELATIVES, MOST_RUNS, TaskView, task
from djtasks.ids import new_id
from djtasks.models import Attempt, Message, Payload, TaskResult
from djtasks.queue.state import store_state
from djtasks.testing import run_tasks
from tests.admin_pages import a_worker, ended, failed, queued
from tests.testapp.replace_tasks import double, total
from tests.testapp.tasks import add, fail

pytestmark = pytest.mark.usefixtures("empty")

HOUR = timedelta(hours=1)


def whole(id: UUID) -> TaskView:
    view = task(id)
    assert view is not None
    return view


def kinds(view: TaskView) -> list[tuple[str, str]]:
    return [(event.kind, event.state) for event in view.events]


def attempt(of: Message | TaskResult, number: int, state: str = "RETRY", **values: Any) -> Attempt:
    given = {"exception": "OSError", "message": "OSError: gone", "worker": "w@a", "runtime": 1.5}
    return Attempt.objects.create(task_id=of.pk, number=number, state=state, **{**given, **values})


def test_a_task_that_nobody_knows_is_none() -> None:
    assert task(uuid4()) is None


def test_it_is_read_with_few_queries() -> None:
    one = failed()
    with CaptureQueriesContext(connection) as queries:
        whole(one.pk)
    reading = [q for q in queries.captured_queries if "djtasks_" in q["sql"]]
    assert len(reading) == 6


# --- what happened ---------------------------------------------------------------------------


def test_a_task_that_succeeded_was_enqueued_started_and_ended() -> None:
    one = ended()
    view = whole(one.pk)
    assert kinds(view) == [("enqueued", "READY"), ("started", "RUNNING"), ("ended", "SUCCESS")]
    assert [event.at for event in view.events] == [one.enqueued_at, one.started_at, one.date_done]
    _, started, end = view.events
    assert (started.worker, started.number, end.duration) == ("worker@here", None, 2.0)


def test_a_failure_ends_with_what_was_said() -> None:
    end = whole(failed("no stock").pk).events[-1]
    assert (end.kind, end.exception, end.error) == ("ended", "ValueError", "no stock")


def test_what_is_due_later_is_yet_to_come() -> None:
    later = queued(state=1, eta=datetime.now(UTC) + HOUR)
    view = whole(later.pk)
    assert kinds(view) == [("enqueued", "READY"), ("due", "SCHEDULED")]
    assert [event.is_yet_to_come for event in view.events] == [False, True]


def test_what_was_due_and_runs_says_where() -> None:
    now = datetime.now(UTC)
    worker = a_worker()
    one = queued(enqueued_at=now - HOUR, eta=now - HOUR / 2, started_at=now, worker_id=worker.pk)
    view = whole(one.pk)
    assert kinds(view) == [("enqueued", "READY"), ("due", "SCHEDULED"), ("started", "RUNNING")]
    assert not any(event.is_yet_to_come for event in view.events)
    assert view.events[-1].worker == "worker@here"


def test_every_attempt_is_told_with_its_error_and_the_next_is_yet_to_come() -> None:
    now = datetime.now(UTC)
    one = queued(state=1, retries=2, enqueued_at=now - HOUR, eta=now + HOUR)
    attempt(one, 1, ended_at=now - HOUR / 2)
    attempt(one, 2, "LOST", ended_at=now - HOUR / 3, exception=None, message=None)
    view = whole(one.pk)
    assert kinds(view) == [
        ("enqueued", "READY"),
        ("attempt", "RETRY"),
        ("attempt", "LOST"),
        ("due", "RETRY"),
    ]
    first = view.events[1]
    assert (first.number, first.worker, first.duration) == (1, "w@a", 1.5)
    assert (first.exception, first.error) == ("OSError", "OSError: gone")
    assert view.events[-1].is_yet_to_come


def test_the_run_after_two_attempts_is_the_third() -> None:
    one = failed(retries=1, enqueued_at=datetime.now(UTC) - 2 * HOUR)
    attempt(one, 1, ended_at=datetime.now(UTC) - HOUR)
    attempt(one, 2, "LOST", ended_at=datetime.now(UTC) - HOUR / 2)
    (started,) = [event for event in whole(one.pk).events if event.kind == "started"]
    assert started.number == 3


def test_a_retry_by_hand_is_told_with_the_run_before_it() -> None:
    result = fail.delay("again")
    run_tasks()
    assert control.retry([result.key]).done == 1
    # Tests run in one transaction, in which the database's clock stands still.
    message = Message.objects.get()
    Attempt.objects.update(ended_at=message.enqueued_at - HOUR)
    view = whole(result.key)
    assert kinds(view) == [("enqueued", "READY"), ("attempt", "FAILURE"), ("retried", "READY")]
    called = view.events[0].at
    assert called is not None
    assert abs(called - datetime.now(UTC)) < HOUR


def test_of_an_id_without_a_time_the_call_before_a_retry_by_hand_is_left_out() -> None:
    one = queued(id=uuid4())
    attempt(one, 1, "FAILURE", ended_at=one.enqueued_at - HOUR)
    assert kinds(whole(one.pk)) == [("attempt", "FAILURE"), ("retried", "READY")]


def test_of_very_many_attempts_the_last_are_told() -> None:
    one = queued()
    for number in range(MOST_ATTEMPTS + 5):
        attempt(one, number + 1)
    told = [event.number for event in whole(one.pk).events if event.kind == "attempt"]
    assert sorted(number or 0 for number in told) == list(range(6, MOST_ATTEMPTS + 6))


# --- texts -----------------------------------------------------------------------------------


def test_arguments_are_whole_whichever_row_has_them() -> None:
    large = json.dumps([["x" * 5_000_000], {}])
    inline, apart = queued(args=["y" * 50_000]), queued(payload_id=new_id())
    Message.objects.filter(pk=apart.pk).update(payload=None)
    Payload.objects.create(id=apart.payload_id, body=large)
    assert whole(inline.pk).record.payload == inline.payload
    assert whole(apart.pk).record.payload == large
    over = ended(payload_id=apart.payload_id)
    TaskResult.objects.filter(pk=over.pk).update(payload=None)
    assert whole(over.pk).record.payload == large


def test_hidden_arguments_stay_hidden_however_long_the_options_are() -> None:
    for options in (
        {"argsrepr": "('****',)"},
        {"argsrepr": "('****',)", "link": ["x" * 100_000]},
    ):
        view = whole(failed(args=["secret"], options=json.dumps(options)).pk)
        assert view.record.payload is None
        assert view.record.argsrepr == "('****',)"
        assert "secret" not in repr(view)


def test_headers_and_other_options_are_told_apart() -> None:
    view = whole(queued(options=json.dumps({"headers": {"who": "me"}, "time_limit": 3})).pk)
    assert (view.headers, view.options) == ({"who": "me"}, {"time_limit": 3})
    view = whole(queued(options=json.dumps({"headers": {"who": "me"}})).pk)
    assert (view.headers, view.options) == ({"who": "me"}, None)


def test_progress_is_shown_until_the_end_and_then_the_result() -> None:
    one = queued()
    store_state(one.pk, "PROGRESS", '{"done": 3}')
    view = whole(one.pk)
    assert (view.meta, view.result) == ({"done": 3}, None)
    view = whole(ended(result="[1, 2]").pk)
    assert (view.meta, view.result) == (None, "[1, 2]")


def test_a_failure_has_all_that_was_said_and_its_traceback() -> None:
    said = "a" * 30_000
    one = failed(said)
    view = whole(one.pk)
    assert (view.exception, view.error) == ("ValueError", said)
    assert (view.traceback, view.result) == (one.traceback, None)


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "nonsense",
        "[1, 2",
        "[]",
        "3",
        '{"headers": 3}',
        "9" * 5_000,
        "[" * 100_000,
        '"\\ud800"',
        '[["\\ud800"], {"a": NaN}]',
    ],
)
def test_rows_that_somebody_broke_are_shown_as_they_are(broken: str) -> None:
    columns = {"payload": broken, "options": broken, "result": broken}
    results = [failed(), ended(), ended(state="", task="", queue="")]
    TaskResult.objects.update(**columns, children=broken, traceback=broken)
    message = queued()
    Message.objects.filter(pk=message.pk).update(payload=broken, options=broken)
    for one in (*results, message):
        assert whole(one.pk).record.payload == broken
    store_state(message.pk, "PROGRESS", broken)
    assert whole(message.pk).meta is not None


# --- what belongs to it ----------------------------------------------------------------------


def test_a_task_knows_who_called_it_and_whom_it_called() -> None:
    root = ended()
    child = queued(root_id=root.pk, parent_id=root.pk)
    grandchild = queued(root_id=root.pk, parent_id=child.pk)
    queued()
    view = whole(root.pk)
    assert (view.parent, [one.id for one in view.children]) == (None, [child.pk])
    assert view.is_in_workflow
    view = whole(child.pk)
    assert view.parent is not None
    assert (view.parent.id, [one.id for one in view.children]) == (root.pk, [grandchild.pk])
    assert (view.more_children, view.siblings) == (False, [])


def test_a_task_that_waits_for_its_next_attempt_is_one_child() -> None:
    root = ended()
    child = queued(root_id=root.pk, parent_id=root.pk)
    failed(id=child.pk, root_id=root.pk, parent_id=root.pk, date_done=None)
    assert [one.id for one in whole(root.pk).children] == [child.pk]


def test_the_members_of_a_chord_are_siblings_in_their_order() -> None:
    chord([double.s(number) for number in range(5)], total.s()).apply_async()
    members = list(Message.objects.filter(after=None).order_by("position"))
    view = whole(members[2].pk)
    assert [one.id for one in view.siblings] == [members[n].pk for n in (0, 1, 3, 4)]
    run_tasks()
    assert {one.state for one in whole(members[2].pk).siblings} == {"SUCCESS"}


def test_steps_of_a_chain_are_no_siblings() -> None:
    chain(double.s(1), double.s()).apply_async()
    first = Message.objects.get(after=None)
    view = whole(first.pk)
    assert (view.siblings, view.is_in_workflow) == ([], True)


def test_of_many_relatives_some_are_told_and_that_there_are_more() -> None:
    root, join = ended(), new_id()
    for number in range(MOST_RELATIVES + 10):
        queued(root_id=root.pk, parent_id=root.pk, feeds=join, position=number)
    view = whole(root.pk)
    assert (len(view.children), view.more_children) == (MOST_RELATIVES, True)
    view = whole(view.children[0].id)
    assert (len(view.siblings), view.more_siblings) == (MOST_RELATIVES, True)


def test_a_call_alone_is_in_no_workflow() -> None:
    assert not whole(queued().pk).is_in_workflow
    assert not whole(ended().pk).is_in_workflow


def test_history_is_of_the_same_task_with_the_oldest_first() -> None:
    now = datetime.now(UTC)
    for number in range(MOST_RUNS + 5):
        ended(runtime=float(number), date_done=now - timedelta(minutes=MOST_RUNS + 5 - number))
    ended(task=double.name)
    waiting = queued(task=add.name)
    runs = whole(waiting.pk).history
    assert [run.runtime for run in runs] == [float(number) for number in range(5, MOST_RUNS + 5)]
