"""Notifications that arrive with the last answers of a turn."""

from __future__ import annotations

import asyncio
import select
from types import SimpleNamespace

import pytest
from model_bakery import baker

from djtasks.models import Worker
from djtasks.queue.delivery import Delivery
from djtasks.queue.finish import Batch
from djtasks.queue.outcome import Disposal
from djtasks.worker.parent import Parent
from djtasks.worker.session import Session
from djtasks.worker.turn import Turn

NOBODY = Delivery(
    bytes(16),
    "t",
    "[[],{}]",
    None,
    "late",
    0,
    0,
    0,
    0,
    *[None] * 9,
)


def turn_that_notifies_itself() -> Turn:
    """A turn that puts a message into a queue, of which idle workers are told: itself, here."""
    batch = Batch()
    batch.add(Disposal.RELEASE, NOBODY, 1, '"deliveries":0,"delay":1')
    return Turn(batch)


@pytest.mark.django_db(transaction=True)
def test_what_came_with_a_turn_is_known_before_the_worker_sleeps() -> None:
    """The socket does not tell of it again: it would be slept on until the next look."""
    baker.make(Worker, lease=60, wants_work=True, queues=None)
    known: list[str] = []
    session = Session("default", "w@test", lambda channel, queue: known.append(queue))

    async def turns() -> None:
        await session.connect()
        for number in range(1, 51):
            await session.turn(turn_that_notifies_itself(), 1)
            session.take_notifications()
            fd = session.fileno()
            assert fd is not None
            assert known == ["late"] * number or select.select([fd], [], [], 1)[0], number
            session.take_notifications()
            assert known == ["late"] * number
        await session.close()

    asyncio.run(turns())


def test_a_parent_takes_what_is_there_before_it_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an event on any socket it wakes at once for what is in memory."""
    parent = Parent.__new__(Parent)
    woken = asyncio.Event()

    class Quiet:
        members: dict[int, object] = {}
        nursery = None

    class Session_:
        def fileno(self) -> int:
            return reader.fileno()

        def take_notifications(self) -> None:
            woken.set()

    import socket

    reader, writer = socket.socketpair()
    for name, value in {
        "_stirred": woken,
        "crew": Quiet(),
        "session": Session_(),
        "intake": SimpleNamespace(rested=lambda now: None),
        "_longest_rest": lambda: 5.0,
    }.items():
        monkeypatch.setattr(parent, name, value, raising=False)
    asyncio.run(asyncio.wait_for(parent._rest(), 1))
    reader.close()
    writer.close()
