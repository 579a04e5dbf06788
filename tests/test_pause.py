"""Paused queues: nobody claims from them, nobody turns in circles over them, and they go on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from django.db import connection

from djtasks import control, enqueue_many
from djtasks.models import Message, Queue, TaskResult
from djtasks.queue.sql import load
from djtasks.testing import run_tasks
from tests.testapp import tasks
from tests.worker_process import SOUND_SLEEP, WorkerProcess, eventually, states, wait_drained

A_WHILE = 1.5  # seconds in which an idle worker would have taken what it may
SETTINGS = {"IMPORTS": [SOUND_SLEEP]}


@pytest.fixture(scope="module")
def worker(live_database: None) -> Iterator[WorkerProcess]:
    """Two children for two queues by name, which sleep until they are woken."""
    with WorkerProcess("-c", "2", "-Q", "shared,other", settings=SETTINGS) as worker:
        yield worker


@pytest.fixture(scope="module")
def worker_of_all(live_database: None) -> Iterator[WorkerProcess]:
    """A child for all queues but those of the other worker, which sleeps until it is woken."""
    with WorkerProcess("-c", "1", "-X", "shared,other", settings=SETTINGS) as worker:
        yield worker


@pytest.fixture(autouse=True)
def nothing_paused() -> Iterator[None]:
    yield
    Queue.objects.all().delete()


def add(queue: str, count: int = 1, **options: Any) -> None:
    for number in range(count):
        tasks.add.apply_async((number, 1), queue=queue, **options)


@pytest.mark.usefixtures("live", "worker")
def test_nothing_is_claimed_from_a_paused_queue_and_all_of_it_once_resumed() -> None:
    control.pause("shared")
    add("shared", 5)
    add("other", 5)
    eventually(lambda: TaskResult.objects.filter(queue="other").count() == 5)
    time.sleep(A_WHILE)
    assert Message.objects.filter(queue="shared", worker_id__isnull=True).count() == 5
    control.resume("shared")
    wait_drained()
    assert states() == {"SUCCESS": 10}


@pytest.mark.usefixtures("live", "worker_of_all")
@pytest.mark.parametrize("known", [True, False], ids=["a known queue", "a new queue"])
def test_a_worker_for_all_queues_keeps_to_it_too(known: bool) -> None:
    queue = "fresh" if known else "never seen"
    if known:
        add(queue)
        wait_drained()
    control.pause(queue)
    add(queue, 3)
    time.sleep(A_WHILE)
    assert Message.objects.filter(worker_id__isnull=True).count() == 3
    control.resume(queue)
    wait_drained()


@pytest.mark.usefixtures("live", "worker")
def test_what_becomes_due_in_a_paused_queue_waits_there() -> None:
    control.pause("shared")
    add("shared", 2, countdown=0.3)
    time.sleep(A_WHILE)
    assert Message.objects.filter(worker_id__isnull=True).count() == 2
    control.resume("shared")
    wait_drained()


@pytest.mark.usefixtures("live")
def test_what_was_claimed_before_is_finished(worker: WorkerProcess) -> None:
    tasks.sleep.apply_async((1,), queue="shared")
    eventually(lambda: Message.objects.filter(worker_id__isnull=False).exists())
    control.pause("shared")
    wait_drained()
    assert states() == {"SUCCESS": 1}


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("which", ["worker", "worker_of_all"])
def test_an_idle_worker_does_not_turn_in_circles_over_a_paused_queue(
    which: str, request: pytest.FixtureRequest
) -> None:
    worker: WorkerProcess = request.getfixturevalue(which)
    queue = "shared" if which == "worker" else "fresh"
    control.pause(queue)
    add(queue, 200)
    time.sleep(0.5)
    parent = psutil.Process(worker.pid)
    before = sum(parent.cpu_times()[:2])
    time.sleep(2)
    # A turn takes about a millisecond of it; one that is made at once again takes all there is.
    assert sum(parent.cpu_times()[:2]) - before < 0.3
    assert Message.objects.filter(worker_id__isnull=True).count() == 200


@pytest.mark.usefixtures("live")
def test_pausing_holds_at_once_under_load(worker: WorkerProcess) -> None:
    # Ten seconds' work for the two children.
    enqueue_many(tasks.sleep.s(0.01).set(queue="shared") for _ in range(2000))
    eventually(lambda: TaskResult.objects.count() > 100)
    control.pause("shared")
    eventually(lambda: not Message.objects.filter(worker_id__isnull=False).exists())
    left = Message.objects.count()
    assert left, "it was done before it was paused"
    time.sleep(0.5)
    assert Message.objects.count() == left
    control.resume("shared")
    wait_drained()
    assert states() == {"SUCCESS": 2000}


@pytest.mark.usefixtures("live")
def test_a_worker_that_leaves_when_all_is_done_does_not_wait_for_a_paused_queue() -> None:
    control.pause("held")
    add("held", 3)
    add("free", 3)
    with WorkerProcess("-c", "1", "-Q", "held,free", "--drain") as worker:
        assert worker.wait() == 0
    assert states() == {"SUCCESS": 3}
    assert Message.objects.filter(queue="held").count() == 3


@pytest.mark.django_db
def test_running_what_is_queued_in_a_test_leaves_paused_queues_alone() -> None:
    add("free")
    add("held")
    control.pause("held")
    assert len(run_tasks()) == 1
    assert not run_tasks(queues=["held"])
    control.resume("held")
    assert len(run_tasks()) == 1


@pytest.mark.django_db
def test_ready_queues_are_those_that_may_be_served() -> None:
    for queue in ("a", "b", "c"):
        add(queue)
    Queue.objects.create(name="a")
    control.pause("b")
    with connection.cursor() as cursor:
        cursor.execute(load("ready_queues"))
        assert [row[0] for row in cursor.fetchall()] == ["a", "c"]
