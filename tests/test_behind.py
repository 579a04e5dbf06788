"""What a quick worker keeps of an order while the one before runs in it."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djtasks.queue.delivery import Delivery
from djtasks.worker.behind import KEPT_FOR, MOST_OF_ONE, Behind

ME = 7
ROOM = 50


def message(seq: int, lane: str = "order:a") -> Delivery:
    empty = Delivery(*[None] * len(Delivery._fields))  # type: ignore[arg-type]
    return empty._replace(id=seq.to_bytes(16), task="t", seq=seq, lane=lane)


def seqs(messages: list[Delivery]) -> list[int]:
    return [message.seq for message in messages]


def kept(behind: Behind) -> list[int]:
    return [one.delivery.seq for one in behind]


@pytest.fixture
def behind() -> Behind:
    """One that has begun message 1 of the order a."""
    behind = Behind()
    asked = behind.sift([message(1)], ME, ROOM, 0.0)
    assert seqs(asked) == [1]
    behind.note_begun(asked)
    return behind


def test_the_next_is_kept_until_the_one_before_has_ended(behind: Behind) -> None:
    assert behind.sift([message(2)], ME, ROOM, 0.0) == []
    assert kept(behind) == [2]
    assert behind.rest(0.1) == pytest.approx(KEPT_FOR - 0.1)
    assert behind.sift([], ME, ROOM, 0.1) == []
    behind.note_end("order:a")
    assert behind.rest(0.1) == 0
    assert seqs(behind.sift([], ME, ROOM, 0.1)) == [2]
    assert len(behind) == 0
    assert behind.rest(0.1) is None


def test_others_do_not_wait_for_it(behind: Behind) -> None:
    other = message(3, "order:b")
    assert behind.sift([message(2), other], ME, ROOM, 0.0) == [other]


def test_of_those_that_come_together_the_first_is_asked_for() -> None:
    behind = Behind()
    assert seqs(behind.sift([message(2), message(1), message(3)], ME, ROOM, 0.0)) == [1]
    assert kept(behind) == [2, 3]


def test_one_behind_a_long_one_is_asked_for_and_so_blocked(behind: Behind) -> None:
    behind.sift([message(2)], ME, ROOM, 0.0)
    assert behind.rest(KEPT_FOR) == 0
    assert seqs(behind.sift([message(3)], ME, ROOM, KEPT_FOR)) == [2, 3]
    # And others that come meanwhile are not kept at all.
    assert seqs(behind.sift([message(4)], ME, ROOM, KEPT_FOR)) == [4]


def test_each_end_gives_the_others_more_time(behind: Behind) -> None:
    behind.sift([message(2), message(3)], ME, ROOM, 0.0)
    behind.note_end("order:a")
    assert seqs(behind.sift([], ME, ROOM, 0.4)) == [2]
    assert behind.rest(0.4) == pytest.approx(KEPT_FOR)
    assert behind.sift([], ME, ROOM, 0.8) == []
    assert seqs(behind.sift([], ME, ROOM, 0.9)) == [3]


@pytest.mark.parametrize(("number", "room"), [(MOST_OF_ONE + 1, ROOM), (3, 2), (1, 0)])
def test_where_there_are_many_all_are_asked_for(behind: Behind, number: int, room: int) -> None:
    messages = [message(2 + n) for n in range(number)]
    assert behind.sift(messages, ME, room, 0.0) == messages
    assert len(behind) == 0
    assert behind.rest(0.0) is None


def test_one_that_turns_slow_keeps_nothing(behind: Behind) -> None:
    behind.sift([message(2)], ME, ROOM, 0.0)
    assert seqs(behind.sift([], ME, 0, 0.1)) == [2]


def test_those_of_an_id_that_was_given_up_are_left_to_others(behind: Behind) -> None:
    behind.sift([message(2)], ME, ROOM, 0.0)
    assert behind.sift([], ME + 1, ROOM, KEPT_FOR) == []
    assert len(behind) == 0


def test_one_that_is_terminated_is_kept_no_longer(behind: Behind) -> None:
    behind.sift([message(2), message(3)], ME, ROOM, 0.0)
    second, third = behind
    behind.note_end("order:a")
    behind.remove(second)
    assert seqs(behind.sift([], ME, ROOM, 0.0)) == [third.delivery.seq]
    behind.sift([message(4), message(5)], ME, ROOM, 0.0)
    for assignment in list(behind):
        behind.note_end("order:a")
        behind.remove(assignment)
    assert behind.sift([], ME, ROOM, 0.0) == []
    assert behind.rest(0.0) is None


@pytest.mark.parametrize("lane", [None, "limit:a"])
def test_only_orders_are_kept(lane: str | None) -> None:
    behind = Behind()
    behind.note_begun([message(1)._replace(lane=lane)])
    assert behind.sift([message(2, "order:b")], ME, ROOM, 0.0) == [message(2, "order:b")]
    assert len(behind) == 0


class Rows:
    """An order as the database keeps it: it does not look at what the asking worker has claimed."""

    def __init__(self) -> None:
        self.running: dict[str, int] = {}
        self.blocked: dict[str, list[int]] = defaultdict(list)
        self.begun: dict[str, list[int]] = defaultdict(list)

    def admit(self, asked: list[Delivery]) -> list[Delivery]:
        for one in asked:
            assert one.lane is not None
            self.blocked[one.lane].append(one.seq)
        return [message(seq, lane) for lane in list(self.blocked) for seq in self._next(lane)]

    def end(self, lane: str) -> None:
        del self.running[lane]

    def _next(self, lane: str) -> list[int]:
        line = self.blocked[lane]
        if lane in self.running or not line:
            return []
        self.running[lane] = first = min(line)
        line.remove(first)
        self.begun[lane].append(first)
        return [first]


STEPS = st.lists(
    st.one_of(
        st.lists(st.sampled_from("ab"), min_size=1, max_size=5).map(lambda keys: ("claim", keys)),
        st.sampled_from("ab").map(lambda key: ("end", [key])),
        st.just(("wait", [])),
    ),
    max_size=60,
)


@given(STEPS, st.integers(0, 6))
def test_every_order_is_kept_and_nobody_is_forgotten(
    steps: list[tuple[str, list[str]]], room: int
) -> None:
    behind, rows, now, seq = Behind(), Rows(), 0.0, 0
    steps = [*steps, *[("end", ["a", "b"]), ("wait", [])] * (5 * len(steps) + 1)]
    for what, keys in steps:
        claimed = []
        for key in keys:
            lane = f"order:{key}"
            if what == "claim":
                seq += 1
                claimed.append(message(seq, lane))
            elif lane in rows.running:
                rows.end(lane)
                behind.note_end(lane)
        if what == "wait":
            now += KEPT_FOR
        behind.note_begun(rows.admit(behind.sift(claimed, ME, room, now)))
        assert len(behind) <= room
    begun = sorted(n for line in rows.begun.values() for n in line)
    assert begun == list(range(1, seq + 1))
    assert all(line == sorted(line) for line in rows.begun.values())
