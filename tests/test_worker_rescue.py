"""A rescue whose commit is not heard of: what it took over is ended all the same, once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from model_bakery import baker

from djtasks.models import Message, Worker
from djtasks.queue.connect import parameters
from djtasks.worker.keeper import RawTextUUID
from djtasks.worker.pipeline import RawUUID
from djtasks.worker.rescue import Losses, Rescue
from tests.testapp import tasks

pytestmark = pytest.mark.usefixtures("live")

# A worker without a row, whose id none of the next ones gets.
GONE = 2**31 - 1


class Fickle(psycopg.Connection[Any]):
    """A connection that may be lost around a commit."""

    loses: str | None = None

    @contextlib.contextmanager
    def transaction(self, *args: Any, **options: Any) -> Iterator[psycopg.Transaction]:
        """A transaction whose answer, or whose commit, is lost if that is asked for."""
        loses, self.loses = self.loses, None
        with super().transaction(*args, **options) as one:
            yield one
            if loses == "commit":
                raise psycopg.OperationalError("the connection was lost before the commit")
        if loses == "answer":
            raise psycopg.OperationalError("the connection was lost after the commit")


@pytest.fixture
def keeper_connection(live: None) -> Iterator[Fickle]:
    """A connection as the keeper has it."""
    with Fickle.connect(**parameters("default"), autocommit=True) as own:
        own.adapters.register_loader("uuid", RawUUID)
        own.adapters.register_loader("uuid", RawTextUUID)
        yield own


@pytest.mark.parametrize("lost", ["commit", "answer"])
def test_what_a_rescue_took_over_is_ended_though_it_was_not_heard(
    keeper_connection: Fickle, lost: str
) -> None:
    rescuer = baker.make(Worker, lease=60.0)
    message = baker.make(Message, task=tasks.add.name, payload="[[1,2],{}]", worker_id=GONE)
    taken: list[Losses] = []
    rescue = Rescue(taken.append)
    keeper_connection.loses = lost
    with pytest.raises(psycopg.OperationalError):
        rescue.look(keeper_connection, rescuer.pk, everywhere=True)
    assert rescue.adopting() == [message.pk.hex]
    rescue.look(keeper_connection, rescuer.pk, everywhere=True)
    rescue.look(keeper_connection, rescuer.pk, everywhere=True)
    assert [delivery.id for losses in taken for delivery, _ in losses] == [message.pk.bytes]
    assert Message.objects.get().worker_id == rescuer.pk


def test_what_somebody_else_rescued_meanwhile_is_left_to_them(keeper_connection: Fickle) -> None:
    rescuer = baker.make(Worker, lease=60.0)
    message = baker.make(Message, task=tasks.add.name, payload="[[1,2],{}]", worker_id=GONE)
    taken: list[Losses] = []
    rescue = Rescue(taken.append)
    keeper_connection.loses = "commit"
    with pytest.raises(psycopg.OperationalError):
        rescue.look(keeper_connection, rescuer.pk, everywhere=True)
    Message.objects.filter(pk=message.pk).update(worker_id=rescuer.pk + 1)
    baker.make(Worker, pk=rescuer.pk + 1, lease=60.0)
    rescue.look(keeper_connection, rescuer.pk, everywhere=True)
    assert taken == []
    assert rescue.adopting() == []
