"""States compare as Celery's do, and their sets are Celery's."""

from __future__ import annotations

from itertools import pairwise

import pytest

from djtasks import states
from djtasks.states import precedence, state

STRONGEST_FIRST = [
    "SUCCESS",
    "FAILURE",
    "PROGRESS",  # any custom state
    "REVOKED",
    "STARTED",
    "RECEIVED",
    "REJECTED",
    "RETRY",
    "PENDING",
]


def test_sets() -> None:
    assert sorted(states.READY_STATES) == ["FAILURE", "REVOKED", "SUCCESS"]
    assert sorted(states.UNREADY_STATES) == [
        *("PENDING", "RECEIVED", "REJECTED", "RETRY", "STARTED")
    ]
    assert sorted(states.EXCEPTION_STATES) == ["FAILURE", "RETRY", "REVOKED"]
    assert sorted(states.PROPAGATE_STATES) == ["FAILURE", "REVOKED"]
    assert sorted(states.ALL_STATES) == [
        *("FAILURE", "PENDING", "RECEIVED", "RETRY", "REVOKED", "STARTED", "SUCCESS")
    ]


def test_precedence_orders_every_state() -> None:
    shuffled = sorted(STRONGEST_FIRST)
    assert sorted(shuffled, key=precedence) == STRONGEST_FIRST


def test_custom_states_share_one_rank() -> None:
    assert precedence("PROGRESS") == precedence("HALFWAY") == precedence(None)


@pytest.mark.parametrize(("stronger", "weaker"), list(pairwise(STRONGEST_FIRST)))
def test_comparison(stronger: str, weaker: str) -> None:
    assert state(stronger) > state(weaker)
    assert state(stronger) >= state(weaker)
    assert state(weaker) < state(stronger)
    assert state(weaker) <= state(stronger)
    assert not state(stronger) < state(weaker)
    assert not state(weaker) >= state(stronger)


def test_equality_and_hash_are_those_of_the_text() -> None:
    assert state("SUCCESS") == "SUCCESS"
    assert state("SUCCESS") in states.READY_STATES
    assert state("PROGRESS") != state("HALFWAY")
    assert state("SUCCESS") >= state("SUCCESS")
    assert state("SUCCESS") <= state("SUCCESS")
