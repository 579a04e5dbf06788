"""Which messages a worker is told to end, and which of them it has."""

from __future__ import annotations

import pytest

from djtasks.execution.lost import Verdict
from djtasks.queue.delivery import Delivery
from djtasks.queue.finish import Batch
from djtasks.queue.outcome import Disposal
from djtasks.worker.crew import Crew
from djtasks.worker.member import Assignment
from djtasks.worker.options import WorkerOptions
from djtasks.worker.runner import note
from djtasks.worker.shape import Shape

ME = 7


@pytest.fixture
def crew() -> Crew:
    """One without children."""
    options = WorkerOptions(pool="threads", hostname="w@here", concurrency=1)
    crew = Crew(options, Shape(options), None)
    crew.own_as(ME)
    return crew


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


def test_one_that_is_not_here_is_passed(crew: Crew) -> None:
    crew.terminations.order({message(1).id: 15})
    assert not crew.terminations
