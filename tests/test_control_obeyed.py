"""Real workers obey what they are told, and what they are told about a task happens to no other."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections

from djtasks import control, enqueue_many
from djtasks.control import Reason
from djtasks.exceptions import TaskRevokedError
from djtasks.models import Message, TaskResult, Worker
from tests.test_control_retry import because, skipped
from tests.testapp import tasks
from tests.worker_process import (
    PATIENCE,
    RARE_BEATS,
    Journal,
    WorkerProcess,
    eventually,
    states,
    wait_drained,
)

pytestmark = pytest.mark.usefixtures("live")


@pytest.fixture
def worker(live: None) -> Iterator[WorkerProcess]:
    """Two children that serve all queues; they obey when they are told, and not at a heartbeat."""
    with WorkerProcess("-c", "2", settings=RARE_BEATS) as worker:
        yield worker


def row(worker: WorkerProcess) -> Worker:
    return Worker.objects.get(pid=worker.pid)


def test_a_task_that_runs_is_ended_and_the_other_one_goes_on(
    worker: WorkerProcess, journal: Journal, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    acts = [f"hold:{gate}"]
    victim, other = (tasks.early.delay(str(journal), key, acts) for key in ("victim", "other"))
    journal.wait("held victim")
    journal.wait("held other")
    assert control.terminate([victim.id]) == control.Outcome(1)
    with pytest.raises(TaskRevokedError, match="terminated"):
        victim.get(PATIENCE)
    gate.touch()
    assert other.get(PATIENCE) == "other"
    assert journal.tally("begin") == {"victim": 1, "other": 1}
    assert tasks.add.delay(1, 2).get(PATIENCE) == 3


def test_only_what_was_named_is_ended_whatever_else_ends_meanwhile(
    worker: WorkerProcess, journal: Journal
) -> None:
    """Short tasks, of which some end before the order to end them arrives."""
    chance = random.Random(5)
    number = 300
    made = enqueue_many(
        (tasks.early, (str(journal), str(n), ["sleep:0.02"])) for n in range(number)
    )
    keys = {result.key: str(n) for n, result in enumerate(made)}
    named = set(chance.sample(list(keys), 60))
    over = threading.Event()
    told = 0

    def terminate() -> None:
        nonlocal told
        try:
            while not over.is_set():
                told += control.terminate(list(named)).done
                time.sleep(0.01)
        finally:
            connections.close_all()

    thread = threading.Thread(target=terminate)
    thread.start()
    try:
        wait_drained()
    finally:
        over.set()
        thread.join()
    ended = dict(TaskResult.objects.values_list("id", "state"))
    assert set(ended) == set(keys)
    revoked = {id for id, state in ended.items() if state == "REVOKED"}
    assert set(ended.values()) <= {"SUCCESS", "REVOKED"}
    assert revoked <= named
    assert revoked, "no order arrived in time"
    assert told >= len(revoked)
    begun, finished = journal.tally("begin"), journal.tally("end")
    for id, key in keys.items():
        if id in revoked:
            assert begun[key] <= 1
        else:
            assert (begun[key], finished[key]) == (1, 1), key


def test_a_worker_is_quiet_until_it_is_told_otherwise(worker: WorkerProcess) -> None:
    tasks.add.delay(1, 2).get(PATIENCE)
    id = row(worker).id
    assert control.quiet([id]) == control.Outcome(1)
    eventually(lambda: row(worker).quiet)
    result = tasks.add.delay(1, 2)
    time.sleep(1)
    assert Message.objects.filter(worker_id=None).count() == 1
    assert control.unquiet([id]) == control.Outcome(1)
    assert result.get(PATIENCE) == 3
    eventually(lambda: not row(worker).quiet)


def test_a_worker_ends_when_it_is_told_to_after_what_it_runs(
    worker: WorkerProcess, journal: Journal
) -> None:
    result = tasks.early.delay(str(journal), "last", ["sleep:1"])
    journal.wait("begin last")
    assert control.stop([row(worker).id]) == control.Outcome(1)
    assert worker.wait() == 0
    assert result.state == "SUCCESS"
    assert skipped(control.stop([1])) == because(Reason.NO_WORKER)
    assert states() == {"SUCCESS": 1}
