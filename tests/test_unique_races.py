"""Many callers at once: a key has one message, whoever comes, commits, goes back or dies when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, TypeVar

import psycopg
import pytest
from django.db import OperationalError, connection, connections, transaction

from djtasks import AsyncResult, enqueue_many, states
from djtasks.models import Message, UniqueKey, Worker
from djtasks.queue.claim import CLAIM, START
from djtasks.queue.connect import parameters
from djtasks.worker.housekeeping import Housekeeping
from tests.testapp.unique_tasks import alone, latest, once, strict, sync
from tests.unique_caller import caller
from tests.worker_process import address, eventually

pytestmark = pytest.mark.usefixtures("live")

T = TypeVar("T")


class InThread(threading.Thread):
    """Something done in a thread with a connection of its own."""

    def __init__(self, action: Callable[[], Any]) -> None:
        super().__init__()
        self._action = action
        self._value: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._value = self._action()
        except BaseException as error:
            self._error = error
        finally:
            connections.close_all()

    def value(self) -> Any:
        """What it returned, when it has ended; raises what it raised."""
        self.join(30)
        assert not self.is_alive(), "it waits for something"
        if self._error is not None:
            raise self._error
        return self._value

    def waits(self) -> bool:
        """Whether some session waits for another's transaction."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock'"
            )
            return bool(cursor.fetchone()[0])

    def wait_until_it_waits(self) -> None:
        eventually(self.waits, "a lock to be waited for")
        assert self.is_alive()


def together(number: int, action: Callable[[int], T]) -> list[T]:
    """Do something in so many threads at the same moment."""
    barrier = threading.Barrier(number)

    def act(place: int) -> T:
        connection.ensure_connection()
        barrier.wait()
        return action(place)

    threads = [InThread(partial(act, place)) for place in range(number)]
    return [thread.value() for thread in threads]


@contextmanager
def one_message_a_key(task: Any, where: str = "true") -> Iterator[None]:
    """The database itself refuses a second message with the same key.

    The index is no part of djtasks: a caller that is refused by it has found its key free when it
    was not.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE UNIQUE INDEX one_message_a_key ON djtasks_message"
            f" ((options::json -> 'unique' ->> 'key')) WHERE task = '{task.name}' AND {where}"
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP INDEX one_message_a_key")


def make_stale(task: Any, *args: Any) -> None:
    """Leave the row of a key that means nothing."""
    task.delay(*args)
    Message.objects.all().delete()
    assert UniqueKey.objects.exists()


def call(task: Any, name: str, place: int) -> AsyncResult[Any]:
    """Call a task, with its own place as a note."""
    result: AsyncResult[Any] = task.apply_async((name,), unique_on_conflict="existing")
    return result


@pytest.mark.parametrize("task", [once, sync, strict])
@pytest.mark.parametrize("stale", [False, True])
def test_eight_at_once_are_one(task: Any, stale: bool) -> None:
    for turn in range(15):
        name = f"{turn}"
        if stale:
            make_stale(task, name)
        with one_message_a_key(task):
            made = together(8, partial(call, task, name))
        assert len({result.id for result in made}) == 1
        assert Message.objects.get().id == made[0].key
        Message.objects.all().delete()


@pytest.mark.parametrize("stale", [False, True])
def test_of_eight_that_replace_each_other_one_is_left(stale: bool) -> None:
    for turn in range(8):
        if stale:
            make_stale(latest, str(turn))
        made = together(8, partial(latest.delay, str(turn)))
        left = [result for result in made if result.state == states.PENDING]
        assert [message.id for message in Message.objects.all()] == [left[0].key]
        assert [result.state for result in made].count(states.REVOKED) == 7
        Message.objects.all().delete()


def test_many_at_once_in_any_order_do_not_wait_in_a_circle() -> None:
    def act(place: int) -> list[AsyncResult[Any]]:
        names = [str(n) for n in range(200)]
        return enqueue_many([(once, (n,)) for n in (names if place % 2 else names[::-1])])

    for _ in range(3):
        with one_message_a_key(once):
            made = together(4, act)
        assert Message.objects.count() == 200
        assert len({result.id for results in made for result in results}) == 200
        Message.objects.all().delete()


@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("commits", [True, False])
def test_who_meets_a_call_that_is_not_committed_waits_for_that(commits: bool, stale: bool) -> None:
    if stale:
        make_stale(once, "a")
    transaction.set_autocommit(False)
    try:
        first = once.delay("a")
        other = InThread(lambda: once.delay("a"))
        eventually_in_another_session("Lock")
        assert other.is_alive()
        connection.commit() if commits else connection.rollback()
    finally:
        transaction.set_autocommit(True)
    second = other.value()
    assert (second == first) is commits
    assert [message.id for message in Message.objects.all()] == [second.key]


def eventually_in_another_session(wait: str) -> None:
    """Wait until a session waits for a lock, asking on a connection of its own."""
    with psycopg.connect(address(), autocommit=True) as own:
        eventually(
            lambda: own.execute(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = %s",
                (wait,),
            ).fetchone(),
            "a session that waits for another's transaction",
        )


@pytest.mark.parametrize("stale", [False, True])
def test_in_a_repeatable_read_a_race_is_an_error_and_never_a_second_message(stale: bool) -> None:
    if stale:
        make_stale(once, "a")
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT count(*) FROM djtasks_message")
        first = InThread(lambda: once.delay("a")).value()
        with pytest.raises(OperationalError, match="could not serialize"), transaction.atomic():
            once.delay("a")
    assert [message.id for message in Message.objects.all()] == [first.key]


def test_nobody_waits_for_those_who_found_the_key_taken() -> None:
    first = once.delay("a")
    with transaction.atomic():
        assert once.delay("a") == first
        assert InThread(lambda: once.delay("a")).value() == first


def claim_all() -> list[Any]:
    """What a worker that looks now is given; returns the ids."""
    with psycopg.connect(**parameters("default"), autocommit=True) as own:
        return claim_with(own)


def claim_with(own: psycopg.Connection[Any]) -> list[Any]:
    rows = own.execute(
        CLAIM,
        {
            "worker": 12345,
            "limit": 100,
            "queues": ["celery"],
            "ranks": [START[0]],
            "seqs": [START[1]],
            "unknown": [],
            "unknown_timeout": 0,
        },
    ).fetchall()
    return [row[0] for row in rows]


@pytest.mark.parametrize("commits", [True, False])
@pytest.mark.parametrize("task", [latest, sync])
def test_who_meets_a_claim_that_is_not_committed_waits_for_that(task: Any, commits: bool) -> None:
    first = task.delay("a")
    with psycopg.connect(**parameters("default")) as own:
        assert claim_with(own) == [first.key]

        def call_again() -> AsyncResult[Any]:
            with transaction.atomic():
                result: AsyncResult[Any] = task.delay("a")
                return result

        other = InThread(call_again)
        other.wait_until_it_waits()
        own.commit() if commits else own.rollback()
    second = other.value()
    # What runs is not replaced, and is not queued; what does not run is the one or the other.
    assert (second == first) is (commits if task is latest else not commits)
    begun = {first.key} if commits else set()
    assert {message.id for message in Message.objects.all()} == {second.key} | begun


def test_what_a_call_relies_on_while_queued_does_not_begin_before_its_commit() -> None:
    """Its run is to see what the caller has written, and cannot before that is committed."""
    first = sync.delay(7)
    Worker.objects.create(
        hostname="idle@here", pid=0, pool="prefork", concurrency=1, version="0", lease=3600.0,
        wants_work=True,
    )  # fmt: skip
    with psycopg.connect(address(), autocommit=True) as listening:
        listening.execute("LISTEN djtasks_wake")
        with transaction.atomic():
            assert sync.delay(7) == first
            assert claim_all() == []
            # Others that rely on it as well do not wait.
            assert InThread(lambda: sync.delay(7)).value() == first
        told = list(listening.notifies(timeout=60, stop_after=1))
    assert [notify.payload for notify in told] == ["celery"]
    assert claim_all() == [first.key]
    assert sync.delay(7) != first


def test_a_call_beside_a_claim_is_never_lost_between_them() -> None:
    """Either the message is begun after the call, or the call has a message of its own."""
    calls = 0
    over = threading.Event()
    begun: list[Any] = []

    def claim() -> None:
        while not over.is_set():
            begun.extend(claim_all())

    claiming = InThread(claim)
    try:
        with one_message_a_key(sync, "worker_id IS NULL"):
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline or calls <= 20:
                with transaction.atomic():
                    result = sync.delay(7)
                    assert result.key not in begun or calls == 0
                    calls += 1
                eventually(partial(begun.__contains__, result.key))
    finally:
        over.set()
        claiming.value()
    assert calls == len(begun) == len(set(begun)) > 20


def test_a_caller_that_is_killed_between_key_and_message_leaves_nothing() -> None:
    with caller("between", "a") as process:
        assert process.stdout
        assert process.stdout.readline() == "taken\n"
        other = InThread(lambda: strict.delay("a"))
        other.wait_until_it_waits()
        process.kill()
        result = other.value()
    assert [message.id for message in Message.objects.all()] == [result.key]
    assert UniqueKey.objects.get().task_id == result.key


@pytest.mark.parametrize("task", [alone, latest])
def test_processes_that_call_while_messages_come_and_go(task: Any) -> None:
    """Messages end, keys are swept, and calls roll back, all at once."""
    over = threading.Event()
    ended = []

    def end_some() -> None:
        while not over.is_set():
            with connection.cursor() as cursor:
                cursor.execute(
                    "DELETE FROM djtasks_message WHERE id IN (SELECT id FROM djtasks_message"
                    " ORDER BY random() LIMIT 3 FOR UPDATE SKIP LOCKED)"
                )
                ended.append(cursor.rowcount)
            time.sleep(0.002)

    def sweep() -> None:
        housekeeping = Housekeeping(over.is_set)
        with psycopg.connect(**parameters("default"), autocommit=True) as own:
            while not over.is_set():
                housekeeping._sweep_unique(own)

    with one_message_a_key(task), ExitStack() as processes:
        callers = [
            processes.enter_context(caller("storm", 4, seed, task.__name__, 6)) for seed in range(3)
        ]
        threads = [InThread(end_some), InThread(sweep)]
        try:
            told = [process.communicate(timeout=60)[0] for process in callers]
        finally:
            over.set()
            for thread in threads:
                thread.value()
    calls = [int(text.removeprefix("calling\n")) for text in told]
    assert all(process.returncode == 0 for process in callers)
    assert sum(calls) > 100
    assert sum(ended) > 50
    # None is left that nobody can have.
    Message.objects.all().delete()
    assert len({task.delay(str(n)) for n in range(6)}) == Message.objects.count() == 6
