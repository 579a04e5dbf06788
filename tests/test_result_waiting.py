"""Waiting for results of a real worker: how soon a wait ends, and when it is refused."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection, connections, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from djtasks import AsyncResult, GroupResult, ResultSet, enqueue_many
from djtasks.exceptions import TaskRevokedError, TimeoutError
from tests.testapp import tasks
from tests.worker_process import WorkerProcess, eventually, somebody_waits

pytestmark = pytest.mark.usefixtures("live")


@pytest.fixture(scope="module")
def worker(live_database: None) -> Iterator[WorkerProcess]:
    """One worker for all tests of this module."""
    with WorkerProcess("-c", "2") as worker:
        yield worker


@pytest.mark.usefixtures("worker", "sound_wait")
def test_a_wait_ends_when_the_task_does_and_not_at_the_next_look() -> None:
    for i in range(10):
        assert tasks.sleep.delay(0.1).get(timeout=60, interval=3600) == 0.1
        assert tasks.add.delay(i, 1).get(timeout=60) == i + 1


@pytest.mark.usefixtures("worker")
def test_a_wait_without_notifications_ends_too() -> None:
    with override_settings(DJTASKS={**settings.DJTASKS, "LISTEN": False}):
        assert tasks.sleep.delay(0.1).get(timeout=60) == 0.1


@pytest.mark.usefixtures("worker")
def test_a_failure_of_a_worker_is_raised_here() -> None:
    with pytest.raises(ValueError, match="over there"):
        tasks.fail.delay("over there").get(timeout=60)


@pytest.mark.usefixtures("worker")
def test_many_threads_wait_at_once() -> None:
    found: list[Any] = []

    def wait(number: int) -> None:
        try:
            found.append(tasks.add.delay(number, 1).get(timeout=60))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=wait, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(1, 9))


def assert_ticked(ticks: list[float]) -> None:
    """The loop went on for the 1.5 s of a wait: one that held it up would leave a gap as long."""
    assert len(ticks) > 5
    assert max(b - a for a, b in itertools.pairwise(ticks)) < 1.2


@pytest.mark.usefixtures("worker")
def test_coroutines_wait_without_holding_up_their_loop() -> None:
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            ticks.append(time.perf_counter())
            await asyncio.sleep(0.01)

    async def wait() -> list[Any]:
        ticking = asyncio.create_task(tick())
        try:
            results = [await tasks.sleep.adelay(1.5), await tasks.sleep.adelay(1.5)]
            return await asyncio.gather(*[result.aget(timeout=60) for result in results])
        finally:
            ticking.cancel()
            await sync_to_async(connections.close_all)()

    assert asyncio.run(wait()) == [1.5, 1.5]
    assert_ticked(ticks)


def test_a_coroutine_that_is_cancelled_stops_waiting_at_once() -> None:
    async def wait() -> float:
        result: AsyncResult[Any] = AsyncResult("no-such-task")
        began = time.perf_counter()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(result.aget(timeout=60), 0.2)
        took = time.perf_counter() - began
        await sync_to_async(connections.close_all)()
        return took

    # Its timeout is sixty.
    assert asyncio.run(wait()) < 10


def test_waiting_for_what_only_this_transaction_sees_is_refused() -> None:
    with transaction.atomic():
        result = tasks.add.delay(1, 2)
        with pytest.raises(RuntimeError, match=r"was enqueued in the transaction that is still"):
            result.get(timeout=60)
        later = tasks.add.delay_on_commit(1, 2)
        with pytest.raises(RuntimeError, match=r"Call get\(\) after the commit"):
            later.get(timeout=60)
        transaction.set_rollback(True)


def test_waiting_inside_a_transaction_for_what_was_enqueued_before_is_no_error() -> None:
    result = tasks.add.apply_async((1, 2), countdown=60)
    with transaction.atomic(), pytest.raises(TimeoutError):
        result.get(timeout=0.1)


@pytest.mark.usefixtures("worker")
def test_a_wait_for_the_commit_of_others_is_no_error() -> None:
    with transaction.atomic(using="other"):
        assert tasks.add.apply_async((1, 2), enqueue="transaction").id
    result = tasks.add.delay(3, 4)
    with transaction.atomic(using="other"):
        assert result.get(timeout=60) == 7


# --- many at once ----------------------------------------------------------------------------


@pytest.mark.usefixtures("worker")
def test_a_thousand_tasks_are_waited_for_together() -> None:
    results = ResultSet(enqueue_many(tasks.add.s(number, 1) for number in range(1000)))
    with CaptureQueriesContext(connection) as queries:
        assert results.get(timeout=60) == list(range(1, 1001))
    assert len(queries.captured_queries) < 500


@pytest.mark.usefixtures("worker")
def test_many_tasks_are_waited_for_without_notifications_too() -> None:
    with override_settings(DJTASKS={**settings.DJTASKS, "LISTEN": False}):
        results = ResultSet([tasks.add.delay(number, 1) for number in range(150)])
        assert results.join(timeout=60) == list(range(1, 151))


@pytest.mark.usefixtures("worker")
def test_results_are_given_on_in_the_order_in_which_the_tasks_end() -> None:
    results = GroupResult("g", [tasks.sleep.delay(3), tasks.sleep.delay(0.1)])
    seen: list[Any] = []
    results.get(timeout=60, callback=lambda id, value: seen.append(value))
    assert seen == [0.1, 3]
    again = ResultSet([tasks.sleep.delay(3), GroupResult("i", [tasks.sleep.delay(0.1)])])
    assert [id for id, _ in again.iter_native(timeout=60)] == ["i", again[0].id]


@pytest.mark.usefixtures("worker")
def test_a_failure_ends_the_wait_for_the_others(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    results = ResultSet([tasks.tracked.delay(str(gate)), tasks.fail.delay("at once")])
    try:
        with pytest.raises(ValueError, match="at once"):
            results.get(timeout=60)
        assert not results[0].ready()
    finally:
        gate.touch()
    results.join(timeout=60, propagate=False)
    assert results[0].successful()


@pytest.mark.usefixtures("worker")
def test_a_failure_of_a_parent_ends_the_wait() -> None:
    header = GroupResult("g", [tasks.fail.delay("before"), tasks.sleep.delay(0.1)])
    with pytest.raises(ValueError, match="before"):
        AsyncResult[Any]("never-run", parent=header).get(timeout=60)


@pytest.mark.usefixtures("sound_wait")
def test_revoking_ends_the_wait() -> None:
    results = ResultSet([tasks.add.apply_async((1, n), countdown=600) for n in range(3)])

    def revoke() -> None:
        try:
            eventually(somebody_waits, "somebody to wait")
            results.revoke()
        finally:
            connections.close_all()

    thread = threading.Thread(target=revoke)
    thread.start()
    with pytest.raises(TaskRevokedError):
        ResultSet([AsyncResult(result.id) for result in results]).get(timeout=60)
    thread.join()


def test_a_caller_is_told_while_it_waits_for_many() -> None:
    calls: list[float] = []

    def tell() -> None:
        calls.append(time.monotonic())
        if len(calls) == 3:
            raise InterruptedError

    began = time.monotonic()
    with pytest.raises(InterruptedError):
        ResultSet([AsyncResult("x"), AsyncResult("y")]).get(
            timeout=60, interval=0.1, on_interval=tell
        )
    assert calls[2] - began >= 3 * 0.1


def test_a_walk_over_results_that_is_given_up_leaves_no_wait_behind() -> None:
    done = tasks.add.apply((1, 2))
    for _ in ResultSet([done, AsyncResult("never")]).iter_native(timeout=60):
        break
    with pytest.raises(TimeoutError):
        list(ResultSet([AsyncResult("never")]).iter_native(timeout=0.1))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM djtasks_waiter")
        assert cursor.fetchone() == (0,)


@pytest.mark.usefixtures("worker")
def test_coroutines_wait_for_sets_without_holding_up_their_loop() -> None:
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            ticks.append(time.perf_counter())
            await asyncio.sleep(0.01)

    async def wait() -> Any:
        ticking = asyncio.create_task(tick())
        try:
            results = ResultSet([await tasks.sleep.adelay(1.5), await tasks.add.adelay(1, 2)])
            return await results.aget(timeout=60), await results.ajoin(timeout=60)
        finally:
            ticking.cancel()
            await sync_to_async(connections.close_all)()

    assert asyncio.run(wait()) == ([1.5, 3], [1.5, 3])
    assert_ticked(ticks)
