"""What needs attention is said, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from djtasks import chain, control
from djtasks.browser.attention import MOST, Note, attention
from djtasks.browser.find import Filter, find
from djtasks.browser.fleet import workers
from djtasks.browser.queues import queues
from djtasks.models import Activity, Message, MessageState
from djtasks.testing import run_tasks
from tests.admin_pages import a_worker, ended, queued
from tests.testapp.replace_tasks import double

pytestmark = pytest.mark.usefixtures("empty")


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


def notes() -> list[Note]:
    return attention(queues(), workers())


def note() -> Note:
    (one,) = notes()
    return one


def said() -> list[str]:
    return [str(one.text) for one in notes()]


def found(query: str) -> list[UUID]:
    return [record.id for record in find(Filter.parse(query)).records]


def test_nothing_is_said_while_all_is_well() -> None:
    a_worker()
    queued(enqueued_at=ago(0.1))
    queued(state=MessageState.SCHEDULED, eta=ago(-1))
    ended()
    assert notes() == []


def test_nobody_works() -> None:
    assert (note().text, note().is_severe) == ("No worker is running.", False)
    queued(enqueued_at=ago(12.2))
    assert note() == Note("No worker is running, and tasks have waited 12 min.", True, "worker")


def test_a_queue_that_no_worker_serves() -> None:
    a_worker(queues=["celery"])
    message = queued(queue="my mail", enqueued_at=ago(12.2))
    queued(queue="young", enqueued_at=ago(0.1))
    assert note().text == "Queue my mail has waited 12 min and no worker serves it."
    assert (note().is_severe, note().page) == (True, "taskrecord")
    assert found(note().query) == [message.pk]


def test_a_quiet_worker_serves_nobody() -> None:
    a_worker(quiet=True)
    queued(enqueued_at=ago(2.2))
    assert said() == ["Queue celery has waited 2 min and no worker serves it."]


def test_a_queue_that_is_behind() -> None:
    a_worker()
    queued(enqueued_at=ago(9))
    assert notes() == []
    queued(queue="mail", enqueued_at=ago(11.2))
    assert (note().text, note().is_severe) == ("Queue mail has waited 11 min.", False)


def test_a_queue_that_is_paused() -> None:
    a_worker()
    control.pause("mail")
    assert note() == Note("Queue mail is paused.", False, "queue")
    queued(queue="mail", enqueued_at=ago(60))
    assert said() == ["Queue mail is paused, and 1 task is ready in it."]
    queued(queue="mail")
    assert said() == ["Queue mail is paused, and 2 tasks are ready in it."]


def test_a_worker_that_does_not_answer() -> None:
    a_worker()
    a_worker(hostname="w@gone", pid=7, lease=-60.0, heartbeat=ago(3.2))
    assert said() == ["Worker w@gone (7) has not answered for 3 min."]
    assert (note().is_severe, note().page) == (True, "worker")


def test_scheduled_tasks_that_nobody_makes_ready() -> None:
    a_worker()
    late = queued(state=MessageState.SCHEDULED, eta=ago(4.2))
    assert said() == ["1 scheduled task is due, for 4 min, and no worker has made it ready."]
    assert note().is_severe
    assert found(note().query) == [late.pk]


def test_tasks_that_workers_do_not_know() -> None:
    a_worker()
    for _ in range(3):
        queued(task="old.task", queue="mail", unknown_since=ago(6.2))
    queued(task="new.task", unknown_since=ago(0.1))
    assert said() == ["Task old.task in queue mail is unknown to workers and has waited 6 min."]
    assert note().is_severe
    assert len(found(note().query)) == 3


def counted(task: str, minutes: float, span: int = 60, **counts: Any) -> None:
    Activity.objects.create(span=span, at=ago(minutes), queue="celery", task=task, **counts)


def test_a_task_that_fails_more_than_before() -> None:
    a_worker()
    counted("jumped", 2, succeeded=12, failed=8)
    counted("jumped", 5 * 60, 3600, succeeded=990, failed=10)
    counted("always", 2, succeeded=12, failed=8)
    counted("always", 5 * 60, 3600, succeeded=70, failed=30)
    assert note() == Note("40 % of jumped failed in the last 10 minutes; it was 1 %.", True,
                          "taskrecord", "state:FAILURE task:=jumped since:10m")  # fmt: skip


def test_a_new_task_that_fails() -> None:
    a_worker()
    counted("new", 2, failed=20)
    assert said() == ["100 % of new failed in the last 10 minutes."]


def test_few_failures_are_no_news() -> None:
    a_worker()
    counted("rare", 2, failed=2)
    counted("old", 15, failed=100)
    counted("small", 2, succeeded=1000, failed=20)
    assert notes() == []


def in_parts() -> UUID:
    """A chain of three whose first step has not run; returns the id of that step."""
    later = double.s().set(queue="mail")
    chain(double.s(1), later, later)()
    Message.objects.update(enqueued_at=ago(120))
    return Message.objects.get(state=MessageState.READY).pk


def test_a_workflow_whose_tasks_somebody_deleted() -> None:
    a_worker()
    first = in_parts()
    Message.objects.filter(pk=first).update(worker_id=1)
    assert notes() == []
    Message.objects.filter(pk=first).delete()
    assert note().text == "1 workflow waits for tasks that are not there any more."
    assert len(found(note().query)) == 2
    for _ in range(MOST + 1):
        Message.objects.create(
            task="a", queue="celery", payload="[[],{}]", state=MessageState.WAITING,
            after=uuid4(), root_id=uuid4(), enqueued_at=ago(120),
        )  # fmt: skip
    assert said() == [f"{MOST}+ workflows wait for tasks that are not there any more."]


def test_a_workflow_that_goes_on_is_not_stranded() -> None:
    a_worker()
    in_parts()
    run_tasks(queues=["celery"])
    Message.objects.filter(state=MessageState.READY).update(worker_id=1)
    assert Message.objects.filter(state=MessageState.WAITING).count() == 1
    assert notes() == []


def test_the_worst_comes_first() -> None:
    a_worker(queues=["celery"])
    control.pause("bulk")
    queued(queue="mail", enqueued_at=ago(60))
    assert [one.is_severe for one in notes()] == [True, False]


def test_names_are_shown_short_and_without_what_acts_unseen() -> None:
    a_worker(queues=["celery"])
    queued(queue="\u202e" + "x" * 10_000, enqueued_at=ago(60))
    (text,) = said()
    assert text.startswith("Queue \\u202exxx")
    assert len(text) < 200


def test_sentences_of_one_kind_are_few() -> None:
    a_worker(queues=["celery"])
    for number in range(MOST + 5):
        queued(queue=f"queue_{number}", enqueued_at=ago(60 + number))
    assert len(notes()) == MOST
    assert str(notes()[0].text).startswith(f"Queue queue_{MOST + 4} ")
