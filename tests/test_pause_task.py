"""Tasks that are paused: nobody begins them anywhere, and they are in nobody's way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

from djtasks import control, enqueue_many
from djtasks.models import Message, MessageState, TaskSetting
from djtasks.testing import run_tasks
from tests.testapp import tasks
from tests.worker_process import WorkerProcess, eventually, states, wait_drained

ADD = "tests.testapp.tasks.add"
ECHO = "tests.testapp.tasks.echo"


def held() -> int:
    return Message.objects.filter(state=MessageState.HELD).count()


# --- what is written -------------------------------------------------------------------------


@pytest.mark.usefixtures("empty")
def test_a_pause_has_a_reason_and_a_date() -> None:
    assert control.pause_task(ADD, reason="the bank is closed")
    setting = TaskSetting.objects.get(name=ADD)
    assert setting.reason == "the bank is closed"
    assert setting.paused_at
    assert not control.pause_task(ADD)
    assert not control.pause_task(ADD, reason="until Monday")
    setting.refresh_from_db()
    assert setting.reason == "until Monday"
    assert control.resume_task(ADD)
    assert not control.resume_task(ADD)
    assert TaskSetting.objects.filter(name=ADD, paused_at=None, reason="").exists()


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("name", ["", "a\0b", None, 7, "x" * 1001])
def test_what_can_be_no_task_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a task"):
        control.pause_task(name)


@pytest.mark.usefixtures("empty")
def test_what_is_queued_is_held_at_once_and_others_stay() -> None:
    tasks.add.delay(1, 1)
    tasks.add.apply_async((1, 2), queue="other", priority=3)
    tasks.add.apply_async((1, 3), countdown=60)
    tasks.echo.delay()
    control.pause_task(ADD)
    stood = sorted(Message.objects.values_list("task", "state"))
    assert stood == [
        (ADD, MessageState.SCHEDULED),
        (ADD, MessageState.HELD),
        (ADD, MessageState.HELD),
        (ECHO, MessageState.READY),
    ]
    control.resume_task(ADD)
    assert held() == 0


@pytest.mark.usefixtures("empty")
def test_what_comes_later_is_held_by_the_claim_that_meets_it() -> None:
    control.pause_task(ADD)
    late = [tasks.add.delay(1, n) for n in range(3)]
    tasks.echo.delay(1)
    assert [run.name for run in run_tasks()] == [ECHO]
    assert held() == 3
    assert {result.state for result in late} == {"PENDING"}
    assert not Message.objects.filter(worker_id__isnull=False).exists()
    control.resume_task(ADD)
    assert [run.result for run in run_tasks()] == [1, 2, 3], "they keep their order"


@pytest.mark.usefixtures("empty")
def test_what_is_held_can_be_revoked_moved_and_purged() -> None:
    one, two, three = (tasks.add.delay(1, n) for n in range(3))
    control.pause_task(ADD)
    assert control.revoke([one.id]).done == 1
    assert control.move([two.id], queue="elsewhere").done == 1
    assert control.run_now([three.id]).skipped == {"its task is paused": 1}
    assert control.purgeable("celery").done == 1
    assert control.purge("celery") == 1
    assert Message.objects.get().queue == "elsewhere"
    assert one.state == "REVOKED"


@pytest.mark.usefixtures("empty")
def test_it_is_found_among_what_is_ready() -> None:
    from djtasks.browser.find import Filter, find

    result = tasks.add.delay(1, 1)
    control.pause_task(ADD)
    page = find(Filter.parse("state:READY"))
    assert [(task.id, task.state) for task in page.records] == [(result.key, "READY")]


# --- real workers ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def worker(live_database: None) -> Iterator[WorkerProcess]:
    with WorkerProcess("-c", "2") as worker:
        yield worker


@pytest.mark.usefixtures("live")
def test_no_worker_begins_it_until_it_is_resumed(worker: WorkerProcess) -> None:
    control.pause_task(ADD)
    paused = [tasks.add.delay(1, n) for n in range(20)]
    for n in range(20):
        assert tasks.echo.delay(n).get(timeout=60) == [(n,), {}]
    eventually(lambda: held() == 20)
    assert states() == {"SUCCESS": 20}
    control.resume_task(ADD)
    assert [result.get(timeout=60) for result in paused] == [1 + n for n in range(20)]


@pytest.mark.usefixtures("live")
def test_a_backlog_of_it_delays_nobody(worker: WorkerProcess) -> None:
    control.pause_task(ADD)
    enqueue_many(tasks.add.s(1, n) for n in range(1_000))
    eventually(lambda: held() == 1_000)
    tasks.echo.delay(1).get(timeout=60)
    assert held() == 1_000
    control.resume_task(ADD)
    wait_drained()


@pytest.mark.usefixtures("live")
def test_a_pause_survives_workers() -> None:
    with WorkerProcess("-c", "1"):
        control.pause_task(ADD)
    result = tasks.add.delay(1, 1)
    with WorkerProcess("-c", "1"):
        assert tasks.echo.delay(1).get(timeout=60)
        assert result.state == "PENDING"
        control.resume_task(ADD)
        assert result.get(timeout=60) == 2


@pytest.mark.usefixtures("live")
def test_what_a_claim_held_after_the_resume_is_freed_by_a_worker(worker: WorkerProcess) -> None:
    """As it is left by a claim that began before the commit of the resume."""
    with connection.cursor() as cursor:
        # Nobody is told of this one.
        cursor.execute(
            "INSERT INTO djtasks_message (id, task, queue, payload, state) "
            "VALUES ('01a2049e-6374-7d9b-bcf3-c7a1c8531bcc', %s, 'celery', '[[1,2],{}]', 4)",
            (ADD,),
        )
    wait_drained()
    assert states() == {"SUCCESS": 1}
