"""Groups and chords that are made from a generator: what reads it, once, and what does not."""

from __future__ import annotations

import json
import pickle
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from djtasks import Signature, chord, group, signature
from djtasks.canvas.send import Planned
from djtasks.codec import encode_call
from tests.testapp.tasks import add


def s(*args: Any) -> Signature[Any]:
    """A signature of a task that nobody knows, with a name that is short to read."""
    return signature("proj.add", args)


def xsum(*args: Any) -> Signature[Any]:
    return signature("proj.xsum", args)


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def sent(sig: Any) -> Any:
    """The signature, of which all rows were made as a call makes them."""
    list(Planned(sig, (), {}, {}, {}).rows())
    return sig


class Members:
    """Generated signatures; knows how many of them are alive, and the most there ever were."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.taken = self.alive = self.most = 0

    def __iter__(self) -> Iterator[Signature[Any]]:
        for number in range(self.size):
            sig = s(number)
            weakref.finalize(sig, self.forget).atexit = False
            self.taken += 1
            self.alive += 1
            self.most = max(self.most, self.alive)
            yield sig
            del sig

    def forget(self) -> None:
        self.alive -= 1


def test_a_hundred_thousand_generated_members_are_never_there_together() -> None:
    members = Members(100_000)
    found = group(iter(members)).set(queue="q")
    found.link_error(s(8))
    found.set_immutable(True)
    whole = found | xsum()
    assert members.taken <= 2
    count = 0
    for member in whole.header.stream():
        count += 1
        assert member.immutable
        assert member.options["link_error"] == [s(8)]
        del member
    assert count == members.taken == 100_000
    assert members.most < 10


def test_generated_members_can_be_streamed_once() -> None:
    found = group(s(i) for i in range(3))
    stream = found.stream()
    assert next(stream) == s(0)
    with pytest.raises(RuntimeError, match="from a generator, whose items were taken"):
        found.stream()
    with pytest.raises(RuntimeError, match="Make it from a list"):
        _ = found.tasks
    assert list(stream) == [s(1), s(2)]


def test_members_that_were_read_can_be_streamed_again_and_again() -> None:
    for found in (group(s(i) for i in range(3)), group([s(0), s(1), s(2)])):
        assert len(found) == 3
        assert list(found.stream()) == list(found.stream()) == found.tasks


@pytest.mark.parametrize(
    "read",
    [
        lambda g: g.tasks,
        len,
        repr,
        json.dumps,
        dict,
        lambda g: g.freeze(),
        lambda g: g == group(),
        pickle.dumps,
        lambda g: encode_call((g,), {}, task="x"),
        lambda g: encode_call((), g.kwargs, task="x"),
    ],
)
def test_what_needs_all_members_reads_a_generator_and_keeps_them(read: Any) -> None:
    found = group(s(i) for i in range(3))
    read(found)
    assert [t.args for t in found.tasks] == [(0,), (1,), (2,)]
    assert plain(found)["kwargs"]["tasks"][2]["args"] == [2]


def test_a_generator_in_a_chord_and_in_a_nested_group_is_lazy_too() -> None:
    members = Members(50)
    inner = group(iter(members))
    outer = group([s(-1), inner])
    whole = chord(iter(Members(3)), xsum())
    assert members.taken == 0
    assert sum(1 for _ in outer.stream()) == 51
    assert members.most < 5
    assert plain(whole)["kwargs"]["header"][2]["args"] == [2]
    assert whole.tasks == [s(0), s(1), s(2)]


def test_clones_of_a_generated_group_read_it_once_and_share_no_member() -> None:
    found = group(s(i) for i in range(2))
    clone = found.clone((9,))
    clone.set_immutable(True)
    assert clone.tasks == [s(9, 0).set(immutable=True), s(9, 1).set(immutable=True)]
    assert found.tasks == [s(0), s(1)]
    streamed = group(s(i) for i in range(2))
    other = streamed.clone()
    list(streamed.stream())
    with pytest.raises(RuntimeError, match="taken already"):
        _ = other.tasks


def test_generated_members_know_how_many_without_reading_all() -> None:
    members = Members(50)
    found = group(iter(members))
    assert found
    assert members.taken == 1
    assert found.size_up_to(2) == 2
    assert members.taken == 2
    assert not group(iter([]))
    assert len(list(found.stream())) == 50


def test_what_a_generator_raises_is_raised_where_it_is_read() -> None:
    def broken() -> Iterator[Signature[Any]]:
        yield s(1)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        _ = group(broken()).tasks


def test_skew_is_the_same_for_each_that_reads_the_generator() -> None:
    found = group(s(i) for i in range(3)).skew(start=1)
    clone = found.clone()
    for one in (clone, found):
        assert [t.options["countdown"] for t in one.tasks] == [1.0, 2.0, 3.0]


def generated() -> Iterator[Signature[Any]]:
    return (s(i) for i in range(3))


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (lambda: group(generated()), "group(<generator, taken>)"),
        (lambda: chord(generated(), xsum()), "%(group(<generator, taken>) | proj.xsum())"),
        (lambda: s() | group(generated()), "proj.add() | group(<generator, taken>)"),
    ],
    ids=["group", "chord", "chain"],
)
def test_what_was_called_can_be_looked_at(make: Callable[[], Any], shown: str) -> None:
    found = sent(make())
    assert repr(found) == shown
    assert found == found
    assert found != make()
    assert make() != found
    assert bool(found)
    with pytest.raises(RuntimeError, match="Make it from a list"):
        json.dumps(found)


def test_chunks_that_were_called_can_be_looked_at() -> None:
    found = add.chunks(iter([(1, 1), (2, 2)]), 1)
    sent(found.group())
    assert "<generator, taken>" in repr(found)


def test_a_group_that_was_called_knows_whether_it_had_members() -> None:
    assert sent(group(generated()))
    assert not sent(group(iter([])))
