"""The workers as their rows tell."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from djtasks import control
from djtasks.browser.fleet import workers
from tests.admin_pages import a_worker

pytestmark = pytest.mark.usefixtures("empty")


def test_nobody_works() -> None:
    assert workers() == []


def test_a_worker_is_shown_with_all_that_its_row_has() -> None:
    row = a_worker(
        hostname="w@b", busy=3, queues=["mail", "celery"], excluded_queues=[], memory=1000
    )
    a_worker(hostname="w@a", excluded_queues=["bulk"])
    first, second = workers()
    assert (first.hostname, second.hostname) == ("w@a", "w@b")
    assert (first.queues, first.excluded_queues, first.memory) == ((), ("bulk",), None)
    assert (second.id, second.pid, second.pool, second.version) == (row.id, 4711, "prefork", "1")
    assert (second.queues, second.memory) == (("mail", "celery"), 1000)
    assert (second.busy, second.concurrency, second.share) == (3, 4, 75)
    row.refresh_from_db()
    assert (second.heartbeat, second.started_at) == (row.heartbeat, row.started_at)


def test_it_serves_its_queues_or_all_but_the_excluded() -> None:
    a_worker(hostname="1", queues=["mail"])
    a_worker(hostname="2", excluded_queues=["mail"])
    a_worker(hostname="3")
    assert [worker.serves("mail") for worker in workers()] == [True, False, True]
    assert [worker.serves("bulk") for worker in workers()] == [False, True, True]


def test_it_is_alive_while_its_lease_holds() -> None:
    now = datetime.now(UTC)
    a_worker(hostname="1", lease=-60.0, heartbeat=now - timedelta(minutes=10))
    a_worker(hostname="2", lease=3600.0, heartbeat=now - timedelta(minutes=10))
    dead, alive = workers()
    assert (dead.is_alive, alive.is_alive) == (False, True)
    assert [dead.age, alive.age] == pytest.approx([600, 600], abs=30)


def test_what_it_runs_is_told_with_how_long() -> None:
    began = datetime.now(UTC) - timedelta(seconds=90)
    id = uuid4()
    told = [{"id": id.hex, "task": "a.b", "since": began.timestamp(), "slot": 2, "pid": 99}]
    a_worker(running=json.dumps(told))
    ((run,),) = (worker.running for worker in workers())
    assert (run.id, run.task, run.slot, run.pid) == (id, "a.b", 2, 99)
    assert run.seconds == pytest.approx(90, abs=10)
    assert abs(run.since - began) < timedelta(milliseconds=1)


def test_a_clock_that_is_ahead_gives_no_negative_time() -> None:
    ahead = datetime.now(UTC) + timedelta(minutes=5)
    told = [{"id": uuid4().hex, "task": "a", "since": ahead.timestamp()}]
    a_worker(running=json.dumps(told), heartbeat=ahead)
    (worker,) = workers()
    assert (worker.age, worker.running[0].seconds) == (0.0, 0.0)
    assert (worker.running[0].slot, worker.running[0].pid) == (None, None)


def test_what_cannot_be_read_is_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    good = {"id": uuid4().hex, "task": "good", "since": 0}
    a_worker(running=json.dumps([{"task": "no id"}, good, 7]))
    with caplog.at_level(logging.WARNING, "djtasks.browser"):
        (worker,) = workers()
    assert [run.task for run in worker.running] == ["good"]
    assert len(caplog.records) == 2


def test_orders_show() -> None:
    row = a_worker()
    assert [worker.stopping for worker in workers()] == [False]
    control.stop([row.id])
    assert [worker.stopping for worker in workers()] == [True]
    row.refresh_from_db()
    row.quiet = True
    row.save()
    assert [worker.quiet for worker in workers()] == [True]
