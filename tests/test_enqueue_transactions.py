"""A message exists if and only if its transaction commits; workers are woken after that, once."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection, transaction
from django.test import TestCase, override_settings
from django.test.utils import CaptureQueriesContext

from djtasks import AsyncResult, enqueue_many
from djtasks.exceptions import DuplicateTaskId, EncodeError
from djtasks.models import Message, Payload, Worker
from djtasks.options import EnqueueMode
from tests.testapp import tasks
from tests.testapp.models import Note
from tests.worker_process import WorkerProcess, address, eventually, rolled_back

pytestmark = pytest.mark.usefixtures("live")


class Listener:
    """A session that listens as workers do."""

    def __init__(self) -> None:
        self.connection = psycopg.connect(address(), autocommit=True)
        self.connection.execute("LISTEN djtasks_wake")
        self.connection.execute("LISTEN djtasks_due")

    def heard(self) -> list[tuple[str, str]]:
        """Channel and queue of every notification so far."""
        # A statement of its own: what was notified before it has arrived with its answer.
        self.connection.execute("SELECT 1")
        return [
            (notify.channel, notify.payload) for notify in self.connection.notifies(timeout=0.05)
        ]


@pytest.fixture
def listener(live: None) -> Iterator[Listener]:
    """A listening session, and a worker's row that wants to be woken for every queue."""
    row = idle_worker()
    listening = Listener()
    yield listening
    listening.connection.close()
    row.delete()


def idle_worker(**columns: object) -> Worker:
    values: dict[str, object] = {
        "hostname": "idle@here",
        "pid": 0,
        "pool": "prefork",
        "concurrency": 1,
        "version": "0",
        "lease": 3600.0,
        "wants_work": True,
        **columns,
    }
    return Worker.objects.create(**values)


# --- rows ------------------------------------------------------------------------------------


def test_a_message_is_there_when_its_transaction_commits() -> None:
    with transaction.atomic():
        result = tasks.add.delay(1, 2)
        assert Message.objects.filter(id=result.id).exists()
        with psycopg.connect(address()) as other:
            count = other.execute("SELECT count(*) FROM djtasks_message").fetchone()
            assert count == (0,)
    assert Message.objects.filter(id=result.id).exists()


def test_a_message_is_gone_when_its_transaction_is_rolled_back(listener: Listener) -> None:
    with rolled_back():
        tasks.add.delay(1, 2)
    assert not Message.objects.exists()
    assert listener.heard() == []


@pytest.mark.parametrize("mode", ["transaction", "on_commit"])
def test_a_message_of_a_rolled_back_savepoint_is_gone_and_wakes_nobody(
    listener: Listener, mode: EnqueueMode
) -> None:
    with transaction.atomic():
        tasks.add.apply_async((0, 0), queue="kept", enqueue=mode)
        with rolled_back():
            tasks.add.apply_async((1, 1), queue="gone", enqueue=mode)
        with transaction.atomic():
            tasks.add.apply_async((2, 2), queue="also kept", enqueue=mode)
    assert set(Message.objects.values_list("queue", flat=True)) == {"kept", "also kept"}
    assert {queue for _channel, queue in listener.heard()} == {"kept", "also kept"}


def test_an_inner_savepoint_goes_with_the_outer_one(listener: Listener) -> None:
    with transaction.atomic(), rolled_back(), transaction.atomic():
        tasks.add.delay(1, 1)
    assert not Message.objects.exists()
    assert listener.heard() == []


# --- waking ----------------------------------------------------------------------------------


def test_a_transaction_wakes_once_for_each_queue(listener: Listener) -> None:
    with transaction.atomic():
        for _ in range(5):
            tasks.add.apply_async((1, 1), queue="a")
            tasks.add.apply_async((1, 1), queue="b")
            with transaction.atomic():
                tasks.add.apply_async((1, 1), queue="a")
        enqueue_many([tasks.add.s(1, 1).set(queue="b") for _ in range(10)])
        assert listener.heard() == []
    heard = listener.heard()
    assert set(heard) == {("djtasks_wake", "a"), ("djtasks_wake", "b")}
    assert heard.count(("djtasks_wake", "b")) == 1


def test_outside_of_a_transaction_each_call_wakes(listener: Listener) -> None:
    tasks.add.delay(1, 1)
    assert listener.heard() == [("djtasks_wake", "celery")]


def test_scheduled_messages_are_told_of_on_a_channel_of_their_own(listener: Listener) -> None:
    tasks.add.apply_async((1, 1), countdown=60)
    assert listener.heard() == [("djtasks_due", "celery")]


def test_nobody_is_woken_while_no_worker_wants_work() -> None:
    listening = Listener()
    rows = [
        idle_worker(wants_work=False),
        idle_worker(queues=["other"]),
        idle_worker(excluded_queues=["celery"]),
    ]
    try:
        tasks.add.delay(1, 1)
        with transaction.atomic():
            tasks.add.delay(1, 1)
        assert listening.heard() == []
    finally:
        listening.connection.close()
        for row in rows:
            row.delete()


def test_a_busy_worker_asks_for_no_notifications() -> None:
    with WorkerProcess("-c", "1") as worker:
        eventually(lambda: Worker.objects.get(pid=worker.pid).wants_work, "an idle worker")
        enqueue_many([(tasks.sleep, (0.01,)) for _ in range(300)])
        eventually(
            lambda: not Worker.objects.get(pid=worker.pid).wants_work, "the worker to be busy"
        )
        listening = Listener()
        for _ in range(10):
            tasks.add.delay(1, 1)
        assert listening.heard() == []
        listening.connection.close()
        Message.objects.filter(worker_id=None).delete()
        eventually(lambda: not Message.objects.exists(), "the rest")


# --- on commit -------------------------------------------------------------------------------


def test_on_commit_writes_all_messages_of_a_transaction_in_one_statement() -> None:
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        results = [tasks.add.apply_async((n, n), enqueue="on_commit") for n in range(20)]
        assert not Message.objects.exists()
    inserts = [q["sql"] for q in queries if "INSERT INTO djtasks_message" in q["sql"]]
    assert len(inserts) == 1
    assert Message.objects.count() == 20
    assert isinstance(results[0], AsyncResult)
    assert results[0].exists()


def test_delay_on_commit_returns_a_result_and_writes_nothing_before(listener: Listener) -> None:
    with transaction.atomic():
        result = tasks.add.delay_on_commit(1, 2)
        assert not result.exists()
    assert result.exists()
    assert listener.heard() == [("djtasks_wake", "celery")]


def test_on_commit_outside_of_a_transaction_writes_at_once() -> None:
    assert tasks.add.delay_on_commit(1, 2).exists()


def test_on_commit_by_setting() -> None:
    with override_settings(DJTASKS={"ENQUEUE": "on_commit"}), transaction.atomic():
        result = tasks.add.delay(1, 2)
        assert not Message.objects.exists()
    assert result.exists()


def test_a_transaction_on_another_database_delays_the_message_to_its_commit() -> None:
    with transaction.atomic(using="other"):
        result = tasks.add.delay(1, 2)
        assert not Message.objects.exists()
    assert result.exists()
    with rolled_back("other"):
        gone = tasks.add.delay(1, 2)
    assert not gone.exists()


def test_a_message_follows_the_queues_transaction_when_both_are_open() -> None:
    with rolled_back("other"), transaction.atomic():
        result = tasks.add.delay(1, 2)
    assert result.exists()


# --- errors leave the transaction usable -----------------------------------------------------


def test_a_taken_id_is_an_error_and_the_transaction_goes_on() -> None:
    with transaction.atomic():
        tasks.add.apply_async((1, 1), task_id="order-42")
        with pytest.raises(DuplicateTaskId, match="order-42"):
            tasks.add.apply_async((2, 2), task_id="order-42")
        Note.objects.create(text="still usable")
    assert Message.objects.count() == 1
    assert Note.objects.count() == 1


def test_a_taken_id_among_many_writes_none_of_them() -> None:
    tasks.add.apply_async((1, 1), task_id="order-42")
    with transaction.atomic():
        with pytest.raises(DuplicateTaskId, match="order-42"):
            enqueue_many(
                [tasks.add.s(0, 0), tasks.add.s(2, 2).set(task_id="order-42"), tasks.add.s(3, 3)]
            )
        Note.objects.create(text="still usable")
    assert Message.objects.count() == 1


@pytest.mark.parametrize("value", [object(), float("nan"), "a\x00b", "\ud800", {1: object()}])
def test_arguments_that_cannot_travel_are_an_error_before_any_sql(value: object) -> None:
    with transaction.atomic():
        with CaptureQueriesContext(connection) as queries, pytest.raises(EncodeError):
            tasks.echo.delay(value)
        assert not queries.captured_queries
        Note.objects.create(text="still usable")
    assert Note.objects.count() == 1


# --- sizes -----------------------------------------------------------------------------------


def test_large_arguments_have_a_row_of_their_own() -> None:
    small = tasks.echo.delay("x" * 100)
    large = tasks.echo.delay("x" * 10_000)
    enqueue_many([(tasks.echo, ("y" * 10_000,)), (tasks.echo, ("y",))])
    assert Payload.objects.count() == 2
    assert Message.objects.get(id=small.id).payload_id is None
    row = Message.objects.get(id=large.id)
    assert row.payload is None
    assert row.payload_id
    assert large.args == ["x" * 10_000]


def test_thousands_are_enqueued_in_few_statements() -> None:
    with CaptureQueriesContext(connection) as queries:
        results = enqueue_many([(tasks.add, (n, n)) for n in range(2500)])
    inserts = [q for q in queries if "INSERT INTO djtasks_message" in q["sql"]]
    assert len(inserts) == 3
    assert Message.objects.count() == 2500
    order = list(Message.objects.order_by("seq").values_list("id", flat=True))
    assert order == [result.key for result in results]


class InTestCase(TestCase):
    """Django's own test case, whose transaction never commits."""

    def test_messages_are_seen_inside(self) -> None:
        result = tasks.add.delay(1, 2)
        assert Message.objects.filter(id=result.id).exists()
        assert result.state == "PENDING"

    def test_on_commit_callbacks_can_be_run(self) -> None:
        with self.captureOnCommitCallbacks(execute=True):
            result = tasks.add.delay_on_commit(1, 2)
            assert not result.exists()
        assert result.exists()

    def test_waiting_for_what_cannot_run_is_an_error(self) -> None:
        result = tasks.add.delay(1, 2)
        with pytest.raises(RuntimeError, match="transaction"):
            result.get(timeout=60)
