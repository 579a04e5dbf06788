"""The queues: all that matter, how long they are, who serves them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from djtasks import control
from djtasks.browser import queues as module
from djtasks.browser.counts import Capped
from djtasks.browser.find import Filter, find
from djtasks.browser.queues import QueueView, queues
from djtasks.models import Activity, MessageState, Queue
from tests.admin_pages import a_worker, queued

pytestmark = pytest.mark.usefixtures("empty")


def some(minutes: float, queue: str = "celery", span: int = 60, **counts: Any) -> None:
    """Some ended in a span of time that began so many minutes ago."""
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    Activity.objects.create(span=span, at=at, queue=queue, task="a.b", **counts)


def only() -> QueueView:
    (queue,) = queues()
    return queue


def test_there_is_no_queue_yet() -> None:
    assert queues() == []


def test_a_queue_is_known_if_it_was_seen_or_is_in_use() -> None:
    Queue.objects.create(name="seen")
    queued(queue="ready")
    queued(queue="scheduled", state=MessageState.SCHEDULED)
    some(30, "hour", succeeded=1)
    some(20 * 60, "day", span=3600, succeeded=1)
    some(26 * 60, "before", span=3600, succeeded=1)
    assert [queue.name for queue in queues()] == ["day", "hour", "ready", "seen"]


def test_ready_and_running_messages_are_counted_apart() -> None:
    for _ in range(3):
        queued(enqueued_at=datetime.now(UTC) - timedelta(minutes=2))
    queued(worker_id=1)
    queued(state=MessageState.SCHEDULED)
    queue = only()
    assert (queue.ready, queue.running) == (Capped(3), 1)
    assert queue.latency == pytest.approx(120, abs=30)


def test_a_queue_without_ready_messages_has_no_latency() -> None:
    queued(worker_id=1)
    assert (only().ready, only().latency) == (Capped(0), None)


def test_counting_stops_at_what_all_queues_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUDGET", 240)
    for number in range(130):
        queued(queue="long", rank=number)
    queued(queue="short")
    assert {queue.name: queue.ready for queue in queues()} == {
        "long": Capped(121, more=True),
        "short": Capped(1),
    }
    monkeypatch.setattr(module, "BUDGET", 1)
    assert queues()[0].ready == Capped(101, more=True)


def test_what_runs_long_counts_though_very_many_came_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BUDGET", 1)
    running = queued(rank=1, worker_id=1)
    for _ in range(120):
        queued(rank=0)
    assert only().running == 0
    told = [{"id": running.pk.hex, "task": running.task, "since": 0}]
    a_worker(running=json.dumps(told))
    assert only().running == 1


def test_many_that_are_claimed_are_counted_to_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAD", 3)
    for _ in range(8):
        queued(worker_id=1)
    for _ in range(5):
        queued()
    assert (only().ready, only().running) == (Capped(5), 8)


def test_what_ended_in_the_last_hour_is_told_and_nothing_before() -> None:
    some(1, succeeded=6)
    some(50, succeeded=1, failed=1)
    some(70, succeeded=100, failed=100)
    some(5, span=600, succeeded=100)
    queue = only()
    assert (queue.succeeded, queue.failed, queue.ended) == (7, 1, 8)
    assert queue.failure_rate == 0.125


def test_nothing_ended_is_no_failure_rate() -> None:
    queued()
    assert only().failure_rate is None


def test_a_pause_shows_with_its_reason() -> None:
    control.pause("mail", reason="the server moves")
    queue = only()
    assert (queue.name, queue.reason, queue.paused_at is None) == (
        "mail",
        "the server moves",
        False,
    )
    control.resume("mail")
    assert only().paused_at is None


def test_workers_serve_a_queue_while_they_take_messages() -> None:
    a_worker(hostname="all")
    a_worker(hostname="mail", queues=["mail"])
    a_worker(hostname="others", excluded_queues=["mail"])
    a_worker(hostname="quiet", quiet=True)
    a_worker(hostname="dead", lease=-60.0, heartbeat=datetime.now(UTC) - timedelta(minutes=5))
    stopping = a_worker(hostname="stopping")
    control.stop([stopping.id])
    queued(queue="mail")
    assert (only().worker_names, only().workers) == (("all", "mail"), 2)


@pytest.mark.parametrize("name", ["mail", "my mail", 'a"b', "a:b", "ä"])
def test_the_search_finds_the_tasks_of_the_queue(name: str) -> None:
    message = queued(queue=name)
    queued(queue="other")
    (queue,) = (queue for queue in queues() if queue.name == name)
    assert [record.id for record in find(Filter.parse(queue.query)).records] == [message.pk]


def test_paused_queues_are_kept_if_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    for number in range(5):
        Queue.objects.create(name=f"queue_{number}", seen_at=now - timedelta(hours=number))
    control.pause("queue_4")
    monkeypatch.setattr(module, "MOST", 3)
    assert [queue.name for queue in queues()] == ["queue_0", "queue_1", "queue_4"]


def test_more_queues_are_no_more_statements() -> None:
    queued()
    with CaptureQueriesContext(connection) as few:
        queues()
    for number in range(20):
        queued(queue=f"queue_{number}")
    with CaptureQueriesContext(connection) as many:
        queues()
    assert len(few) == len(many)
