"""Orders to end a task that arrive while its claim is under way."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from djtasks.queue.delivery import Delivery
from djtasks.worker.crew import Crew
from djtasks.worker.options import WorkerOptions
from djtasks.worker.shape import Shape

OWNER = 7
ID = bytes(range(16))
DELIVERY = Delivery(ID, "t", "[[],{}]", None, "celery", 0, 0, 0, 0, *[None] * 9)


@pytest.fixture(params=["prefork", "threads"])
def crew(request: pytest.FixtureRequest) -> Iterator[Crew]:
    """The messages of a worker that has no children yet."""
    options = WorkerOptions(pool=request.param)
    crew = Crew(options, Shape(options), None)
    crew.own_as(OWNER)
    yield crew
    crew.board.close()


def test_what_was_claimed_when_its_end_was_ordered_never_begins(crew: Crew) -> None:
    """Everybody sees the claim from its commit on, the worker when it has read the answer."""
    with crew.terminations.claiming():
        crew.terminations.order({ID: signal.SIGTERM})
        crew.terminations.look(0.0)
        crew.take([DELIVERY], OWNER)
    assert not crew.hand
    (revoked,) = crew.post_mortem
    assert revoked.delivery.id == ID
    assert revoked.lost == ("fail", "terminated", (signal.SIGTERM, None))
    assert not crew.terminations


def test_what_the_claim_did_not_bring_is_forgotten_with_it(crew: Crew) -> None:
    """A later one of the same id is another run of the task."""
    with crew.terminations.claiming():
        crew.terminations.order({ID: signal.SIGTERM})
        crew.terminations.look(0.0)
    crew.take([DELIVERY], OWNER)
    assert [assignment.delivery.id for assignment in crew.hand] == [ID]


def test_between_claims_an_order_for_what_nobody_has_is_passed(crew: Crew) -> None:
    crew.terminations.order({ID: signal.SIGTERM})
    crew.take([DELIVERY], OWNER)
    assert [assignment.delivery.id for assignment in crew.hand] == [ID]
