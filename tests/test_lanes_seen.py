"""What limits hold up is shown, found, counted, and can be acted upon."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from djtasks import control
from djtasks.browser import sources
from djtasks.browser.attention import attention
from djtasks.browser.counts import Capped, counts
from djtasks.browser.find import Filter, find
from djtasks.browser.fleet import workers
from djtasks.browser.graph import graph
from djtasks.browser.queues import BLOCKED, queues
from djtasks.browser.reading import reading
from djtasks.browser.sources import FEW_MESSAGES, OF_LANE
from djtasks.browser.task import task
from djtasks.control import Outcome, Reason
from djtasks.control.ending import PURGE_BLOCKED
from djtasks.models import Message, MessageState, Place, Rate, TaskResult
from djtasks.queue.sql import load
from djtasks.result import AsyncResult
from djtasks.testing import run_tasks
from djtasks.workflow import WorkflowRun
from tests.admin_pages import a_worker, ended, queued
from tests.testapp import limit_tasks as tasks

pytestmark = pytest.mark.usefixtures("empty")

LANE = "limit:account:7"


def blocked(gate: str = LANE, **fields: Any) -> Message:
    """A message that a lane or a rate does not let through."""
    lane = None if gate.startswith("rate:") else gate
    given = {"gate": gate, "lane": lane, "state": MessageState.BLOCKED, **fields}
    return queued(**given)


def search(query: str) -> list[UUID]:
    return [record.id for record in find(Filter.parse(query)).records]


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


def said() -> list[str]:
    return [str(note.text) for note in attention(queues(), workers())]


# --- shown -------------------------------------------------------------------------------------


def test_a_blocked_task_is_shown_as_blocked_and_by_what() -> None:
    message = blocked(options=json.dumps({"lane": LANE, "headers": {"a": 1}}))
    view = task(message.pk)
    assert view
    assert (view.record.state, view.record.lane, view.record.gate) == ("BLOCKED", LANE, LANE)
    assert view.options is None
    assert AsyncResult(str(message.pk)).state == "PENDING"


def test_an_ended_task_still_tells_its_lane() -> None:
    (record,) = find(Filter(id=str(ended(options=json.dumps({"lane": LANE})).pk))).records
    assert (record.lane, record.gate) == (LANE, None)


def test_a_gate_of_the_past_is_not_told() -> None:
    for fields in ({"state": MessageState.READY}, {"state": MessageState.READY, "worker_id": 1}):
        view = task(blocked(**fields).pk)
        assert view
        assert view.record.gate is None


def test_workflows_show_what_is_blocked() -> None:
    root = blocked()
    queued(root_id=root.pk, parent_id=root.pk)
    drawn = graph(root.pk)
    assert drawn
    assert drawn.counts == {"READY": 1, "BLOCKED": 1}
    assert WorkflowRun(root.pk).counts == {"BLOCKED": 1, "PENDING": 1}


def test_the_pages_say_what_blocks_and_lead_to_the_others() -> None:
    user = User.objects.create_superuser("boss", password="x")
    client = Client()
    client.force_login(user)
    message = blocked('order:a "b" <i>')
    page = client.get(f"/admin/djtasks/taskrecord/{message.pk}/change/").content.decode()
    assert "djt-is-blocked" in page
    assert "the order of a &quot;b&quot; &lt;i&gt;" in page
    assert "q=lane%3A%22order%3Aa" in page
    assert "state%3ABLOCKED" in page
    overview = client.get("/admin/djtasks/overview/").content.decode()
    assert "state%3ABLOCKED" in overview
    assert "+ 1 blocked" in overview
    assert "+ 1 blocked" in client.get("/admin/djtasks/queue/").content.decode()
    Message.objects.all().delete()
    assert "state%3ABLOCKED" not in client.get("/admin/djtasks/overview/").content.decode()


# --- found and counted -------------------------------------------------------------------------


def test_blocked_tasks_are_found_by_state_and_by_lane() -> None:
    here, there = blocked(), blocked("limit:account:8")
    rated = blocked("rate:a.b", lane=LANE)
    holder = queued(lane=LANE, worker_id=1)
    Place.objects.create(lane=LANE, message_id=holder.pk)
    fresh = queued(lane=LANE)
    ended(options=json.dumps({"lane": LANE}))
    assert set(search("state:BLOCKED")) == {here.pk, there.pk, rated.pk}
    assert set(search(f"lane:{LANE}")) == {here.pk, rated.pk, holder.pk, fresh.pk}
    assert search(f"lane:{LANE} state:RUNNING") == [holder.pk]
    assert search("lane:rate:a.b") == [rated.pk]
    assert search("lane:nobody") == []
    query = f"state:BLOCKED lane:{LANE}"
    assert Filter.parse(query).to_query() == query


def test_the_blocked_of_a_lane_are_found_behind_more_than_a_page_looks_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "SCAN", 3)
    monkeypatch.setattr(sources, "FEW", 2)
    wanted = blocked()
    for _ in range(8):
        queued()
    found, cursor = [], None
    while True:
        page = find(Filter.parse(f"lane:{LANE}"), cursor=cursor)
        found += [record.id for record in page.records]
        cursor = page.next
        if cursor is None:
            break
    assert found == [wanted.pk]


def test_a_queue_in_which_all_are_blocked_does_not_look_empty() -> None:
    for _ in range(3):
        blocked(queue="full")
    blocked("rate:a.b", queue="other")
    found = {queue.name: (queue.ready, queue.blocked) for queue in queues()}
    assert found == {"full": (Capped(0), Capped(3)), "other": (Capped(0), Capped(1))}
    assert counts(queues(), workers()).blocked == Capped(4)
    assert counts(queues(), workers()).ready == Capped(0)


def test_who_was_just_let_through_has_not_waited_for_a_worker() -> None:
    blocked(state=MessageState.READY, enqueued_at=ago(60))
    assert counts(queues(), workers()).latency is None
    assert queues()[0].ready == Capped(1)
    queued(enqueued_at=ago(2))
    assert counts(queues(), workers()).latency == pytest.approx(120, abs=30)


def test_it_is_said_if_nobody_lets_through_what_is_blocked() -> None:
    a_worker()
    first = blocked(enqueued_at=ago(10.5), task="a.b")
    blocked(enqueued_at=ago(9), task="a.b")
    (one,) = said()
    assert one == (
        "2 tasks are blocked by limit:account:7, the first for 10 min, and nothing of it runs: no "
        "worker that knows a.b lets them through."
    )
    (note,) = attention(queues(), workers())
    assert set(search(note.query)) == set(Message.objects.values_list("id", flat=True))
    first.delete()
    assert "1 task is blocked by limit:account:7" in said()[0]


def test_nothing_is_said_of_what_waits_for_those_that_run() -> None:
    a_worker()
    blocked(enqueued_at=ago(10))
    holder = queued(lane=LANE, worker_id=1)
    Place.objects.create(lane=LANE, message_id=holder.pk)
    blocked("rate:a.b", enqueued_at=ago(10))
    rate = Rate.objects.create(
        name="rate:a.b", interval=60, burst=1, used_until=ago(-1), opens_at=ago(-1)
    )
    blocked("order:k", enqueued_at=ago(0))
    assert said() == []
    holder.delete()
    rate.delete()
    assert len(said()) == 2


# --- acted upon --------------------------------------------------------------------------------


def test_blocked_tasks_are_not_run_now_and_the_reason_is_told() -> None:
    assert control.run_now([blocked().pk]) == Outcome.of(0, [Reason.BLOCKED])


def test_blocked_tasks_are_revoked_as_ready_ones() -> None:
    message = blocked()
    assert control.revoke([message.pk]) == Outcome(1)
    assert TaskResult.objects.get(id=message.pk).state == "REVOKED"
    assert control.terminate([blocked().pk]).skipped == {Reason.NOT_RUNNING.label: 1}
    assert control.delete([blocked().pk]).skipped == {Reason.QUEUED_REVOKE.label: 1}


def test_a_priority_changes_nothing_in_an_order() -> None:
    ordered, limited = blocked("order:k"), blocked()
    ids = [ordered.pk, limited.pk]
    assert control.move(ids, priority=5) == Outcome.of(1, [Reason.ORDERED])
    assert control.move(ids, queue="other", priority=6) == Outcome(2)
    ordered.refresh_from_db()
    limited.refresh_from_db()
    assert (ordered.priority, ordered.queue, ordered.state) == (0, "other", MessageState.BLOCKED)
    assert (limited.priority, limited.queue) == (6, "other")


def test_a_purge_takes_what_is_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("djtasks.control.ending.READ_AT_ONCE", 2)
    for number in range(7):
        blocked(f"limit:{number % 3}", queue="full", rank=number % 2)
    stays = blocked(queue="other")
    assert control.purgeable("full") == Outcome(7)
    assert control.purge("full") == 7
    assert list(Message.objects.values_list("id", flat=True)) == [stays.pk]


def test_a_copy_is_put_into_the_lane_of_its_own_arguments() -> None:
    first = tasks.two_of_a_key.delay("j", "a", "1")
    second = control.copy(first.id, args=("j", "b", "1"))
    third = control.copy(first.id)
    lanes = dict(Message.objects.values_list("id", "lane"))
    assert lanes[second] == "limit:account:b"
    assert lanes[third] == "limit:account:a"
    ordered = control.copy(tasks.in_order.delay("j", "a", "1").id, priority=7)
    assert Message.objects.get(id=ordered).priority == 0
    Message.objects.filter(id=first.key).update(task="gone.by.now")
    assert Message.objects.get(id=control.copy(first.id)).lane is None


def test_what_is_retried_by_hand_is_in_its_lane_again(tmp_path: Any) -> None:
    result = tasks.fails_in_order.delay(str(tmp_path / "j"), "k", "1")
    assert [ran.state for ran in run_tasks()] == ["FAILURE"]
    assert control.retry([result.id]).done == 1
    assert Message.objects.get(id=result.key).lane == "order:k"
    run_tasks()
    (new,) = control.retry([result.id], keep_id=False).ids
    assert Message.objects.get(id=new).lane == "order:k"


# --- run_tasks() -------------------------------------------------------------------------------


def test_tests_run_what_is_ordered_in_order_after_retries_too(tmp_path: Any) -> None:
    journal = tmp_path / "journal"
    for number, fails in enumerate([2, 0, 1, 0]):
        tasks.in_order.delay(str(journal), "k", str(number), 0.0, fails)
    tasks.in_order.delay(str(journal), "other", "4")
    states = [ran.state for ran in run_tasks(scheduled=True)]
    assert (states.count("SUCCESS"), states.count("RETRY")) == (5, 3)
    lines = journal.read_text().splitlines()
    assert [line for line in lines if line.startswith("done k")] == [
        f"done k {n}" for n in range(4)
    ]


def test_tests_do_not_run_those_behind_one_that_waits_for_its_time(tmp_path: Any) -> None:
    journal = tmp_path / "journal"
    tasks.in_order.delay(str(journal), "k", "0", 0.0, 1)
    tasks.in_order.delay(str(journal), "k", "1")
    assert [ran.state for ran in run_tasks()] == ["RETRY"]
    assert [ran.state for ran in run_tasks(scheduled=True)] == ["SUCCESS", "SUCCESS"]


# --- plans -------------------------------------------------------------------------------------


def fill(ready: int, held: int) -> None:
    """So many messages that are ready, and so many that five lanes block."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO djtasks_message (id, task, queue, payload, state, lane, gate) "
            "SELECT gen_random_uuid(), 'a.b', 'celery', '[[],{}]', 0, NULL, NULL "
            "FROM generate_series(1, %s) UNION ALL "
            "SELECT gen_random_uuid(), 'a.b', 'q' || n %% 3, '[[],{}]', 3, 'limit:' || n %% 5, "
            "'limit:' || n %% 5 FROM generate_series(1, %s) n",
            (ready, held),
        )
        cursor.execute("ANALYZE djtasks_message")


NO_FILTER: dict[str, Any] = dict.fromkeys(
    (
        *("queue", "task", "task_end", "schedule", "exception", "exception_end", "error"),
        *("worker", "lane"),
        *("retried", "texts", "patterns", "since", "until", "states", "needles"),
    )
)


@pytest.mark.parametrize(
    ("statement", "parameters", "browsing"),
    [
        (load("blocking"), {"after": "", "limit": 200}, False),
        (BLOCKED, {"limit": 20_000}, True),
        (FEW_MESSAGES, {**NO_FILTER, "state": 3, "few": 1001}, True),
        (OF_LANE, {**NO_FILTER, "lane": "limit:3", "scan": 10_000}, True),
        (
            PURGE_BLOCKED,
            {
                "queue": "q1",
                "began": datetime(2100, 1, 1, tzinfo=UTC),
                "gate": "",
                "rank": -5,
                "seq": -1,
                "limit": 1000,
            },
            True,
        ),
    ],
    ids=["blocking", "lengths", "few", "lane", "purge"],
)
@pytest.mark.parametrize(("ready", "held"), [(20_000, 50), (50, 2_000)])
def test_blocked_messages_are_read_by_their_index(
    statement: str, parameters: dict[str, Any], browsing: bool, ready: int, held: int
) -> None:
    fill(ready, held)
    with reading(None, few=browsing) as cursor:
        if not browsing:
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {statement}", parameters)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "djtasks_message_gate" in plan, plan
    assert "Seq Scan on djtasks_message" not in plan, plan
