"""The numbers of the overview: they are right, and stop at a limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from djtasks import chain
from djtasks.browser import counts as module
from djtasks.browser import queues as queues_module
from djtasks.browser.counts import Capped, Counts, counts
from djtasks.browser.fleet import workers
from djtasks.browser.queues import queues
from djtasks.browser.reading import reading
from djtasks.browser.waits import RANKS, waits
from djtasks.models import Message, MessageState, TaskResult
from djtasks.testing import run_tasks
from tests.admin_pages import a_worker, ended, failed, queued
from tests.testapp.replace_tasks import double

pytestmark = pytest.mark.usefixtures("empty")

MINUTE = timedelta(minutes=1)


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - minutes * MINUTE


def counted() -> Counts:
    fleet = workers()
    return counts(queues(fleet), fleet)


def test_there_is_nothing_in_empty_tables() -> None:
    now = counted()
    assert not any((now.ready, now.scheduled, now.waiting, now.failed))
    assert (now.latency, now.workers) == (None, 0)


def test_tasks_are_counted_by_what_they_wait_for() -> None:
    queued()
    queued()
    queued(worker_id=1)
    queued(state=MessageState.SCHEDULED, eta=ago(-5))
    for _ in range(3):
        queued(state=MessageState.WAITING, after=uuid4())
    now = counted()
    assert (now.ready, now.scheduled, now.waiting) == (Capped(2), Capped(1), Capped(3))


def test_only_what_failed_within_a_day_is_counted() -> None:
    failed()
    failed(date_done=ago(23 * 60))
    failed(date_done=ago(25 * 60))
    ended()
    ended(state="REVOKED")
    assert counted().failed == Capped(2)


def test_counting_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 3)
    for _ in range(3):
        queued()
        failed()
    assert (counted().ready, counted().failed) == (Capped(3), Capped(3))
    queued()
    failed()
    assert (counted().ready, counted().failed) == (Capped(3, more=True), Capped(3, more=True))
    assert str(Capped(10_000, more=True)) == "10,000+"


def test_one_long_queue_among_many_is_counted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues_module, "BUDGET", 1)
    for _ in range(105):
        queued()
    queued(queue="mail")
    queued(queue="mail", worker_id=1)
    assert counted().ready == Capped(106)
    monkeypatch.setattr(module, "LIMIT", 101)
    assert counted().ready == Capped(101, more=True)


def test_a_number_is_written_as_the_language_does() -> None:
    with translation.override("de"):
        assert str(Capped(1_500)) == "1.500"
        assert str(Capped(10_000, more=True)) == "10.000+"


def test_workers_that_live_are_counted() -> None:
    a_worker()
    a_worker()
    a_worker(lease=-60.0, heartbeat=ago(5))
    assert counted().workers == 2


# --- how long the oldest has waited ----------------------------------------------------------


def test_the_oldest_ready_task_of_all_queues_tells_the_latency() -> None:
    queued(enqueued_at=ago(1))
    queued(queue="mail", enqueued_at=ago(10))
    assert counted().latency == pytest.approx(600, abs=30)
    assert waits() == {
        "celery": pytest.approx(60, abs=30),
        "mail": pytest.approx(600, abs=30),
    }


def test_a_task_of_low_priority_waits_however_many_come_before_it() -> None:
    queued(rank=5, enqueued_at=ago(30))
    for rank in range(5):
        queued(rank=rank, enqueued_at=ago(1))
    assert waits() == {"celery": pytest.approx(1800, abs=30)}


def test_priorities_are_looked_at_to_a_limit_and_the_next_queue_is_not_forgotten() -> None:
    for rank in range(RANKS + 1):
        queued(rank=rank, enqueued_at=ago(rank))
    queued(queue="later", enqueued_at=ago(7))
    assert waits() == {
        "celery": pytest.approx(60 * (RANKS - 1), abs=30),
        "later": pytest.approx(420, abs=30),
    }


def test_what_runs_does_not_wait() -> None:
    queued(worker_id=1, enqueued_at=ago(9))
    assert waits() == {}
    queued(enqueued_at=ago(2))
    assert waits() == {"celery": pytest.approx(120, abs=30)}


def test_a_scheduled_task_waits_from_when_it_was_due() -> None:
    queued(enqueued_at=ago(300), eta=ago(3))
    assert waits() == {"celery": pytest.approx(180, abs=30)}


def begun_workflow() -> None:
    """A chain whose first step has ended; the second is ready."""
    chain(double.s(1), double.s().set(queue="mail"))()
    run_tasks(queues=["celery"])


def test_a_step_of_a_workflow_waits_from_the_end_of_what_it_waited_for() -> None:
    begun_workflow()
    Message.objects.update(enqueued_at=ago(600))
    assert Message.objects.get().after is not None
    TaskResult.objects.update(date_done=ago(4))
    assert waits() == {"mail": pytest.approx(240, abs=30)}


def test_a_step_whose_forerunner_left_no_result_waits_from_its_call() -> None:
    begun_workflow()
    TaskResult.objects.all().delete()
    Message.objects.update(enqueued_at=ago(5))
    assert waits() == {"mail": pytest.approx(300, abs=30)}


def test_a_block_inside_of_another_reads_as_it_needs() -> None:
    def bitmaps() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW enable_bitmapscan")
            ((value,),) = cursor.fetchall()
        return str(value)

    with reading(few=True), CaptureQueriesContext(connection) as asked:
        with reading():
            assert bitmaps() == "on"
            with reading(few=True):
                assert bitmaps() == "off"
            assert bitmaps() == "on"
        with reading(few=True):
            assert bitmaps() == "off"
        assert bitmaps() == "off"
    assert not any("SAVEPOINT" in query["sql"] for query in asked)
    assert bitmaps() == "on"


def test_the_end_of_a_transaction_leaves_the_planner_as_it_was() -> None:
    counted()
    with reading(), reading(few=True):
        pass
    with connection.cursor() as cursor:
        cursor.execute("SHOW enable_seqscan")
        assert cursor.fetchone() == ("on",)
