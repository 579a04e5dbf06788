"""Which messages a worker is told to end, and which of them it has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta

import psycopg
import pytest
from django.utils import timezone
from model_bakery import baker

from djtasks.execution.lost import Verdict
from djtasks.models import Message, Worker
from djtasks.queue.delivery import Delivery
from djtasks.queue.finish import Batch
from djtasks.queue.outcome import Disposal
from djtasks.worker.crew import Crew
from djtasks.worker.member import Assignment
from djtasks.worker.missed import Missed
from djtasks.worker.options import WorkerOptions
from djtasks.worker.pipeline import RawUUID
from djtasks.worker.runner import note
from djtasks.worker.shape import Shape
from tests.testapp import tasks
from tests.worker_process import address

ME = 7


@pytest.fixture
def crew() -> Iterator[Crew]:
    """One without children."""
    options = WorkerOptions(pool="threads", hostname="w@here", concurrency=1)
    crew = Crew(options, Shape(options), None)
    crew.own_as(ME)
    yield crew
    crew.board.close()


def message(number: int, lane: str | None = None) -> Delivery:
    empty = Delivery(*[None] * len(Delivery._fields))  # type: ignore[arg-type]
    return empty._replace(id=number.to_bytes(16), task="t", seq=number, lane=lane)


def to_record(crew: Crew) -> list[int]:
    return [one.delivery.seq for one in crew.post_mortem if one.lost is not None]


def test_what_is_in_hand_or_kept_is_not_begun(crew: Crew) -> None:
    first, second, third = message(1), message(2, "order:a"), message(3, "order:a")
    crew.take([first], ME)
    crew.behind.note_begun([third])
    crew.behind.sift([second], ME, 10, 0.0)
    crew.terminations.order({first.id: 15, second.id: 15})
    assert to_record(crew) == [1, 2]
    assert not crew.hand
    assert not len(crew.behind)
    assert not crew.terminations


def test_one_that_is_claimed_while_the_order_comes_is_ended_too(crew: Crew) -> None:
    """Others see whose it is as soon as the claim is committed, before its answer is here."""
    with crew.terminations.while_claiming():
        crew.terminations.order({message(1).id: 15, message(2).id: 15})
        crew.take([message(1)], ME)
    assert to_record(crew) == [1]
    # And the other one may be retried and claimed by this worker later.
    assert not crew.terminations
    crew.take([message(2)], ME)
    crew.terminations.look(0.0)
    assert to_record(crew) == [1]


@pytest.mark.parametrize("how", ["recalled", "killed", "stopped"])
def test_a_loss_that_a_child_has_not_recorded_never_goes_back_to_the_queue(
    crew: Crew, how: str
) -> None:
    """It would run again: who was told to end, or was acknowledged early."""
    crew.add(0)
    (member,) = crew.members.values()
    member.ready = True
    lost = Assignment(message(1), ME, None, (Verdict.FAIL.value, "lost", "Its child died."))
    crew.post_mortem.append(lost)
    crew.deal()
    ((token, held),) = member.held.items()
    assert held == lost
    batch = Batch()
    if how == "recalled":
        member.theirs.sendall(note("recalled", [token]))
        crew.collect(batch)
    elif how == "killed":
        crew._ended(member, -9, batch)
    else:
        crew.kill(batch)
    crew.release_hand(batch)
    member.close()
    member.theirs.close()
    if how == "stopped":
        assert [entry.disposal for entry in batch.entries] == [Disposal.END]
    else:
        assert to_record(crew) == [1]
        assert not batch.entries


def test_one_that_has_left_is_passed_on_once_that_is_written(crew: Crew) -> None:
    passed: list[Mapping[bytes, int]] = []
    outgoing = [message(1).id.hex()]
    crew.terminations.pass_on = passed.append
    crew.terminations.outgoing = lambda: outgoing
    crew.terminations.order({message(1).id: 15, message(2).id: 9})
    assert passed == [{message(2).id: 9}]
    outgoing.clear()
    crew.terminations.look(0.0)
    assert passed == [{message(2).id: 9}, {message(1).id: 15}]
    assert not crew.terminations


@pytest.mark.django_db(transaction=True)
def test_what_went_back_meanwhile_is_ended_wherever_it_is() -> None:
    mine, others = (baker.make(Worker, lease=60, pool="prefork", orders="") for _ in range(2))
    back, later, taken, gone = (tasks.add.delay(n, 1) for n in range(4))
    Message.objects.filter(pk=later.key).update(state=1, eta=timezone.now() + timedelta(hours=1))
    Message.objects.filter(pk=taken.key).update(worker_id=others.pk, started_at=timezone.now())
    Message.objects.filter(pk=gone.key).delete()
    recorded: list[tuple[list[bytes], Mapping[bytes, int]]] = []
    missed = Missed(lambda found, numbers: recorded.append(([one.id for one in found], numbers)))
    numbers = {one.key.bytes: 9 for one in (back, later, taken, gone)}
    missed.add(numbers)
    with psycopg.connect(address(), autocommit=True) as connection:
        connection.adapters.register_loader("uuid", RawUUID)
        missed.look(connection, mine.pk, "default")
        missed.look(connection, mine.pk, "default")
    assert recorded == [([back.key.bytes, later.key.bytes], numbers)]
    owned = Message.objects.filter(worker_id=mine.pk)
    assert set(owned.values_list("pk", flat=True)) == {back.key, later.key}
    others.refresh_from_db()
    assert json.loads(others.orders) == {"terminate": {taken.key.hex: "SIGKILL"}}


def test_what_was_taken_to_be_ended_is_recorded_by_a_child(crew: Crew) -> None:
    crew.terminations.record([message(1)], {message(1).id: 9}, ME)
    (assignment,) = crew.post_mortem
    assert assignment.lost == (Verdict.FAIL.value, "terminated", (9, None))
    assert assignment.owner == ME
