"""What an end means to others is written once, whoever writes it again or is in the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

import psycopg
import pytest
from django.db import connection, transaction
from model_bakery import baker

from djtasks import chain, chord
from djtasks.models import Join, Message, TaskResult, Worker
from djtasks.queue.delivery import Delivery
from djtasks.queue.finish import Batch, Entry, end_here, write_here
from djtasks.queue.outcome import Disposal, Outcome
from djtasks.queue.stuck import end_stuck
from tests.testapp import flow_tasks as canvas
from tests.worker_process import address, eventually

pytestmark = pytest.mark.usefixtures("live")

OWNER = 4711


def claimed(messages: Iterable[Message]) -> list[Message]:
    """These messages, as a worker has them."""
    found = list(messages)
    Message.objects.filter(pk__in=[m.pk for m in found]).update(worker_id=OWNER)
    return found


def ends(messages: Sequence[Message], linked: list[str] | None = None) -> Batch:
    """Successful ends of these messages, with their positions as results."""
    return Batch(
        [
            Entry(
                disposal=int(Disposal.END),
                key=m.id.hex,
                owner=OWNER,
                members=f'"runtime":0.001,"state":"SUCCESS","result":{m.position or 0}',
                linked=linked,
                payload_id=None,
                queue=m.queue,
                feeds=None if m.feeds is None else m.feeds.bytes,
                position=m.position,
                fed=None if m.feeds is None else "",
                custom_id=None,
                task=m.task,
                lane=m.lane,
            )
            for m in messages
        ]
    )


def write(batch: Batch) -> bool:
    """Write a batch as a turn does; whether all of it was the owner's to end."""
    with transaction.atomic():
        return write_here(connection, batch, "w@test")[0]


def write_elsewhere(batch: Batch, told: list[bool]) -> threading.Thread:
    """Write a batch in a thread, on a connection of its own; ``told`` is given the answer."""

    def run() -> None:
        try:
            told.append(write(batch))
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def header(size: int) -> list[Message]:
    """The members of a chord of this size, claimed."""
    chord([canvas.total.s([n]) for n in range(size)], canvas.total.s()).apply_async()
    return claimed(Message.objects.filter(position__isnull=False).order_by("position"))


def test_an_end_whose_commit_was_not_heard_of_is_not_counted_again() -> None:
    members = header(6)
    assert write(ends(members[:3]))
    assert not write(ends(members[:3]))
    # Also not when it is written with others, which a worker does once it is connected again.
    assert not write(ends([*members[1:3], members[3]]))
    assert Join.objects.get().missing == 2
    assert write(ends(members[4:]))
    body = Message.objects.get()
    assert body.state == 0
    assert body.payload == "[[[0,1,2,3,4,5]],{}]"


def test_an_end_that_another_connection_is_committing_is_not_counted_again() -> None:
    members = header(3)
    told: list[bool] = []
    with psycopg.connect(address()) as other:
        for statement, params, _ in ends(members[:2]).statements("w@test"):
            other.execute(statement, params)
        thread = write_elsewhere(ends(members[:2]), told)
        eventually(waits, "the second to wait for the first")
        other.commit()
    thread.join()
    assert told == [False]
    assert Join.objects.get().missing == 1


def test_a_worker_that_was_given_up_feeds_what_it_may_still_end() -> None:
    chain(canvas.total.s([1]), canvas.total.si([2])).apply_async()
    assert not Worker.objects.exists()
    assert write(ends(claimed(Message.objects.filter(state=0))))
    assert Message.objects.get().state == 0


def test_a_worker_feeds_nothing_that_was_given_to_another() -> None:
    members = header(3)
    Message.objects.filter(pk=members[0].pk).update(worker_id=OWNER + 1)
    assert not write(ends(members))
    assert Join.objects.get().missing == 1
    assert Message.objects.filter(pk=members[0].pk).exists()


def test_a_waiting_task_that_is_being_moved_is_released() -> None:
    chain(canvas.total.s([1]), canvas.total.si([2])).apply_async()
    batch = ends(claimed(Message.objects.filter(state=0)))
    with psycopg.connect(address()) as other:
        other.execute("UPDATE djtasks_message SET queue = 'moved' WHERE state = 2")
        thread = write_elsewhere(batch, [])
        eventually(waits, "the turn to wait for the move")
        other.commit()
    thread.join()
    moved = Message.objects.get()
    assert (moved.queue, moved.state) == ("moved", 0)


def test_a_step_whose_id_is_taken_is_not_left_out_in_silence() -> None:
    taken = baker.make(Message, task="x", queue="nobody", payload="[[],{}]")
    first = baker.make(Message, task="x", queue="q", payload="[[],{}]", worker_id=OWNER)
    step = (
        f'"id":"{taken.pk}","payload":[[],{{}}],"task":"y","queue":"q",'
        f'"feeds":"{taken.pk}","position":0'
    )
    with pytest.raises(Exception, match="djtasks_message_pkey"):
        write(ends([first], linked=[step]))
    assert not TaskResult.objects.exists()


def test_a_machine_that_vanishes_at_the_end_of_an_atomic_task_holds_its_rows_for_seconds() -> None:
    message = baker.make(Message, task="x", queue="q", payload="[[],{}]", worker_id=OWNER)
    row = (message.pk.bytes, "x", "[[],{}]", None, "q", 0, 0, 0, 0, *[None] * 13)
    delivery = Delivery._make(row)
    with transaction.atomic():
        assert end_here(connection, delivery, Outcome(Disposal.END, "SUCCESS"), OWNER, "w@test")
        assert patience() == "10s"
    assert patience() == "0"


def patience() -> str:
    """How long the server waits for a transaction in which nothing happens."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        return str(cursor.fetchone()[0])


def waits() -> bool:
    """Whether somebody waits for a lock; a moment is given to begin."""
    time.sleep(0.05)
    with psycopg.connect(address()) as other:
        row = other.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone()
    return row is not None and row[0] > 0


def test_looking_for_what_is_stuck_waits_for_nobody() -> None:
    chord([canvas.total.s([1]), canvas.total.s([2])], canvas.total.s()).apply_async()
    Message.objects.filter(position=0).delete()
    with (
        psycopg.connect(address()) as somebody,
        psycopg.connect(address(), autocommit=True) as keeper,
    ):
        somebody.execute("SELECT FROM djtasks_join FOR UPDATE")
        # A wait for what is locked would be an error.
        keeper.execute("SET lock_timeout = '10s'")
        assert end_stuck(keeper) == ([], [])
        somebody.rollback()
        assert len(end_stuck(keeper)[1]) == 1
