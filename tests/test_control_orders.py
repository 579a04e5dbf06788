"""Orders to workers, as their rows have them."""

from __future__ import annotations

import json
import threading
from typing import Any

import psycopg
import pytest
from django.db import connections

from djtasks import control
from djtasks.control import Outcome, Reason
from djtasks.models import Message, Worker
from djtasks.queue.connect import parameters
from tests.test_control_placing import running
from tests.test_control_retry import because, failed, skipped
from tests.testapp.tasks import add

pytestmark = pytest.mark.usefixtures("empty")


def a_worker(**fields: Any) -> Worker:
    """The row of a worker that nobody runs."""
    made = {"hostname": "worker@nowhere", "pid": 1, "pool": "prefork", "concurrency": 1}
    return Worker.objects.create(**{**made, "version": "0", "lease": 3600, **fields})


def orders_of(worker: Worker) -> dict[str, Any]:
    """What a worker has been told."""
    worker.refresh_from_db()
    orders: dict[str, Any] = json.loads(worker.orders or "{}")
    return orders


def test_workers_are_made_quiet_and_awake_again_and_stopped() -> None:
    worker, other = a_worker(), a_worker()
    assert control.quiet([worker.id, worker.id]) == Outcome(1)
    assert orders_of(worker) == {"quiet": True}
    assert control.unquiet([worker.id, other.id]) == Outcome(2)
    assert orders_of(worker) == {"quiet": False}
    assert control.stop([worker.id]) == Outcome(1)
    assert orders_of(worker) == {"quiet": False, "stop": True}
    assert orders_of(other) == {"quiet": False}


def test_a_worker_that_is_gone_is_told_nothing() -> None:
    outcome = control.stop([a_worker().id, 999_999])
    assert (outcome.done, skipped(outcome)) == (1, because(Reason.NO_WORKER))


def test_the_worker_that_runs_a_task_is_told_to_end_it() -> None:
    worker, other = a_worker(), a_worker()
    first, second, third = (running(add.delay(1, n), worker.id) for n in range(3))
    fourth = running(add.delay(1, 2), other.id)
    assert control.terminate([first.id, second.id, fourth.id]) == Outcome(3)
    assert control.terminate([second.id, third.key], signal="kill") == Outcome(2)
    told = {first.key.hex: "SIGTERM", second.key.hex: "SIGKILL", third.key.hex: "SIGKILL"}
    assert orders_of(worker) == {"terminate": told}
    assert orders_of(other) == {"terminate": {fourth.key.hex: "SIGTERM"}}
    control.quiet([worker.id])
    assert orders_of(worker) == {"terminate": told, "quiet": True}


def test_what_cannot_be_terminated_is_passed_over_and_told() -> None:
    ended = failed()
    ids = [
        running(add.delay(1, 2), 999_999).id,
        add.delay(1, 2).id,
        ended.id,
        "nobody",
    ]
    outcome = control.terminate(ids)
    assert skipped(outcome) == because(
        Reason.WORKER_GONE,
        Reason.NOT_RUNNING,
        Reason.ENDED,
        Reason.UNKNOWN,
    )
    assert outcome.done == 0


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_worker_without_processes_is_told_and_its_task_is_asked_to_end(pool: str) -> None:
    worker = a_worker(pool=pool)
    result = running(add.delay(1, 2), worker.id)
    assert control.terminate([result.id]) == Outcome(1)
    assert orders_of(worker) == {"terminate": {result.key.hex: "SIGTERM"}}
    assert Message.objects.get(id=result.key).abort == "REVOKED"


@pytest.mark.parametrize("signal", ["SIGSTOP", "STOP", "SIGUSR2", "", "9"])
def test_a_signal_that_ends_nothing_is_refused(signal: str) -> None:
    with pytest.raises(ValueError, match="must be one of SIGTERM"):
        control.terminate(["an id"], signal=signal)


@pytest.mark.parametrize("broken", ["{", "[1]", "null", '"text"', '{"terminate": 3}'])
def test_orders_that_somebody_broke_are_replaced(broken: str) -> None:
    worker = a_worker(orders=broken)
    control.quiet([worker.id])
    assert orders_of(worker)["quiet"] is True
    result = running(add.delay(1, 2), worker.id)
    control.terminate([result.id])
    assert orders_of(worker) == {"quiet": True, "terminate": {result.key.hex: "SIGTERM"}}


@pytest.mark.django_db(transaction=True)
def test_no_order_is_lost_when_many_are_given_at_once() -> None:
    workers = [a_worker() for _ in range(3)]
    results = [running(add.delay(1, n), workers[n % 3].id) for n in range(60)]
    start = threading.Barrier(4)

    def tell(part: list[Any]) -> None:
        try:
            start.wait()
            for result in part:
                control.terminate([result.id])
                control.quiet([worker.id for worker in reversed(workers)])
        finally:
            connections.close_all()

    threads = [threading.Thread(target=tell, args=(results[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, worker in enumerate(workers):
        ids = {result.key.hex for result in results[n::3]}
        assert orders_of(worker) == {"quiet": True, "terminate": dict.fromkeys(ids, "SIGTERM")}


@pytest.mark.django_db(transaction=True)
def test_workers_are_notified_after_the_commit() -> None:
    workers = [a_worker() for _ in range(2)]
    with psycopg.connect(**parameters("default"), autocommit=True) as listening:
        listening.execute("LISTEN djtasks_orders")
        control.stop([worker.id for worker in workers])
        told = [note.payload for note in listening.notifies(timeout=60, stop_after=2)]
    assert told == [str(worker.id) for worker in workers]
