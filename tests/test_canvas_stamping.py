"""Stamps: what ``sig.stamp()`` writes, and what a visitor is asked in which order.

Expected values are those of Celery 5.7.0, unless a test says otherwise.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from djtasks import Signature, chain, chord, group, shared_task, signature
from djtasks.canvas import StampingVisitor
from djtasks.execution.request import Context
from djtasks.testing import capture_tasks
from tests.own_registry import own_registry  # noqa: F401


def s(*args: Any) -> Signature[Any]:
    return signature("proj.add", args)


def stamps(sig: Signature[Any]) -> dict[str, Any]:
    """The stamps of a signature by their names."""
    return {name: sig.options[name] for name in sig.options["stamped_headers"]}


class Marks(StampingVisitor):
    def on_signature(self, sig: Signature[Any], **headers: Any) -> dict[str, Any]:
        return {"mark": f"of {sig.args[0]}"}


class Recorder(StampingVisitor):
    """Notes what it is asked, with the stamps that it is told; stamps with the question."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str, list[str]]] = []

    def note(self, question: str, sig: Any, headers: dict[str, Any]) -> dict[str, Any]:
        named = sorted(name.removeprefix("in_") for name in headers.get("stamped_headers", headers))
        self.log.append((question, str(sig.args[0]) if sig.args else sig.subtask_type, named))
        return {f"in_{question}": 1}

    def on_signature(self, sig: Any, **headers: Any) -> None:
        self.note("signature", sig, headers)

    def on_group_start(self, group: Any, **headers: Any) -> dict[str, Any]:
        return self.note("group", group, headers)

    def on_group_end(self, group: Any, **headers: Any) -> None:
        self.note("group_end", group, headers)

    def on_chain_start(self, chain: Any, **headers: Any) -> dict[str, Any]:
        return self.note("chain", chain, headers)

    def on_chain_end(self, chain: Any, **headers: Any) -> None:
        self.note("chain_end", chain, headers)

    def on_chord_header_start(self, sig: Any, **header: Any) -> dict[str, Any]:
        return self.note("header", sig, header)

    def on_chord_header_end(self, sig: Any, **header: Any) -> None:
        self.note("header_end", sig, header)

    def on_chord_body(self, sig: Any, **header: Any) -> dict[str, Any]:
        return self.note("body", sig, header)

    def on_callback(self, callback: Any, **header: Any) -> dict[str, Any]:
        return self.note("callback", callback, header)

    def on_errback(self, errback: Any, **header: Any) -> dict[str, Any]:
        return self.note("errback", errback, header)


def asked(sig: Signature[Any]) -> list[tuple[str, str, list[str]]]:
    recorder = Recorder()
    assert sig.stamp(recorder, k=1) is sig
    return recorder.log


# One signature


def test_stamps_are_options_whose_names_are_noted() -> None:
    sig = s(1).set(queue="q")
    assert sig.stamp(x=1, y=[2]) is sig
    assert sig.options == {"queue": "q", "stamped_headers": ["x", "y"], "x": 1, "y": [2]}


def test_a_later_stamp_replaces_an_earlier_one() -> None:
    sig = s(1)
    sig.stamp(x=1, y=1)
    sig.stamp(x=3)
    assert stamps(sig) == {"x": 3, "y": 1}
    # Celery joins two lists here, although it was not asked to.
    assert stamps(s(1).stamp(x=[1]).stamp(x=[3])) == {"x": [3]}


def test_stamps_are_gathered_in_lists_if_asked() -> None:
    sig = s(1)
    sig.stamp(x=1)
    sig.stamp(append_stamps=True, x=3)
    assert stamps(sig) == {"x": [3, 1]}
    sig.stamp(append_stamps=True, x=[7, 8])
    assert stamps(sig) == {"x": [7, 8, 3, 1]}


def test_a_visitor_adds_to_what_is_given() -> None:
    sig = s(1).stamp(Marks(), x=1)
    assert stamps(sig) == {"x": 1, "mark": "of 1"}


def test_a_given_stamp_wins_over_the_visitors() -> None:
    assert stamps(s(1).stamp(Marks(), mark="mine")) == {"mark": "mine"}
    both = s(1).stamp(Marks(), append_stamps=True, mark="mine")
    assert stamps(both) == {"mark": ["mine", "of 1"]}


def test_a_visitor_may_set_options_that_are_no_stamps() -> None:
    class Visitor(StampingVisitor):
        def on_signature(self, sig: Signature[Any], **headers: Any) -> dict[str, Any]:
            return {"priority": 5, "mark": 1, "stamped_headers": ["mark"]}

    sig = s(1).stamp(Visitor())
    assert sig.options == {"priority": 5, "mark": 1, "stamped_headers": ["mark"]}


def test_a_visitor_needs_on_signature() -> None:
    with pytest.raises(TypeError, match="on_signature"):
        StampingVisitor()  # type: ignore[abstract]


def test_later_options_do_not_change_stamps() -> None:
    sig = s(1).stamp(x=1)
    assert sig.clone(x=9, y=1, stamped_headers=[]).options == {
        "stamped_headers": ["x"],
        "x": 1,
        "y": 1,
    }


def test_stamps_survive_json() -> None:
    sig = chain(s(1), group(s(2), s(3))).stamp(x=1)
    rebuilt: Any = signature(json.loads(json.dumps(sig)))
    assert stamps(rebuilt.tasks[1].tasks[1]) == {"x": 1}


# What a visitor is asked


def test_links_are_stamped_before_their_signature() -> None:
    sig = s("t")
    sig.link(s("c1"))
    sig.link(s("c2"))
    sig.link_error(s("e1"))
    assert asked(sig) == [
        ("callback", "c1", ["k"]),
        ("signature", "c1", ["callback", "k"]),
        # Celery tells of the first callback's stamps here.
        ("callback", "c2", ["k"]),
        ("signature", "c2", ["callback", "k"]),
        ("errback", "e1", ["k"]),
        ("signature", "e1", ["errback", "k"]),
        ("signature", "t", ["k"]),
    ]
    assert stamps(sig) == {"k": 1}
    assert stamps(sig.options["link"][0]) == {"k": 1, "in_callback": 1}
    assert stamps(sig.options["link_error"][0]) == {"k": 1, "in_errback": 1}


def test_a_link_that_is_a_dict_is_stamped_too() -> None:
    """Celery stamps a copy of it, and loses that."""
    sig = s(1).set(link=[dict(s(2))], link_error=dict(s(3)))
    sig.stamp(x=1)
    assert stamps(sig.options["link"][0]) == {"x": 1}
    assert stamps(sig.options["link_error"][0]) == {"x": 1}


def test_a_chain_is_asked_for_before_and_after_its_steps() -> None:
    assert asked(chain(s("a"), s("b"))) == [
        ("chain", "chain", ["k"]),
        ("signature", "a", ["chain", "k"]),
        ("signature", "b", ["chain", "k"]),
        ("chain_end", "chain", ["chain", "k"]),
    ]


def test_a_group_is_asked_for_before_and_after_its_members() -> None:
    assert asked(group(s("a"), s("b"))) == [
        ("group", "group", ["k"]),
        ("signature", "a", ["group", "k"]),
        ("signature", "b", ["group", "k"]),
        ("group_end", "group", ["group", "k"]),
    ]


def test_a_chord_is_asked_for_with_its_header_and_its_body() -> None:
    assert asked(chord([s("a"), s("b")], s("c"))) == [
        ("header", "chord", ["k"]),
        ("signature", "a", ["header", "k"]),
        ("signature", "b", ["header", "k"]),
        ("header_end", "chord", ["header", "k"]),
        ("body", "chord", ["header", "k"]),
        ("signature", "c", ["body", "header", "k"]),
    ]


def test_what_is_inside_gets_the_stamps_of_what_is_around_it() -> None:
    assert asked(chain(s("a"), group(s("b"), s("c")), s("d"))) == [
        ("chain", "chain", ["k"]),
        ("signature", "a", ["chain", "k"]),
        ("header", "chord", ["chain", "k"]),
        ("signature", "b", ["chain", "header", "k"]),
        ("signature", "c", ["chain", "header", "k"]),
        ("header_end", "chord", ["chain", "header", "k"]),
        ("body", "chord", ["chain", "header", "k"]),
        ("signature", "d", ["body", "chain", "header", "k"]),
        # Celery tells of the stamps of the chord here too.
        ("chain_end", "chain", ["chain", "k"]),
    ]


def test_a_header_counts_as_a_group_unless_the_visitor_says_otherwise() -> None:
    class Groups(Marks):
        def __init__(self) -> None:
            self.seen: list[Any] = []

        def on_group_start(self, group: Any, **headers: Any) -> dict[str, Any]:
            self.seen.append(list(group.tasks))
            return {"g": 1}

        def on_group_end(self, group: Any, **headers: Any) -> None:
            self.seen.append(sorted(headers))

    visitor = Groups()
    whole = chord([s(1)], s(2)).stamp(visitor)
    assert visitor.seen[0][0].args == (1,)
    assert visitor.seen[1] == ["g", "stamped_headers"]
    assert stamps(whole.tasks[0]) == {"g": 1, "mark": "of 1"}


# All that is in it


def test_every_task_of_a_workflow_is_stamped() -> None:
    found = chain(s(1), group(s(2), chain(s(3), s(4))), s(5))
    found.stamp(x=1)
    first, whole = found.tasks
    assert isinstance(whole, chord)
    body = whole.body
    assert body is not None
    inner = whole.tasks[1].kwargs["tasks"]
    for sig in (first, whole.tasks[0], *inner, body):
        assert stamps(sig) == {"x": 1}
    assert found.options == {}


def test_the_body_of_a_chord_is_stamped_without_a_visitor_too() -> None:
    """Celery leaves it out."""
    whole = chord([s(1)], s(2)).stamp(x=1)
    assert whole.body is not None
    assert stamps(whole.body) == {"x": 1}


def test_generated_members_are_stamped_when_they_are_taken() -> None:
    taken: list[int] = []

    def members() -> Any:
        for number in range(3):
            taken.append(number)
            yield s(number)

    found = group(members()).stamp(Marks(), x=1)
    assert taken == []
    assert [stamps(t) for t in found.stream()] == [{"x": 1, "mark": f"of {i}"} for i in range(3)]


# On their way to the task


@pytest.mark.usefixtures("own_registry")
def test_stamps_travel_with_the_call() -> None:
    @shared_task(bind=True)
    def work(self: Any) -> Any:
        request: Context = self.request
        return [request.stamped_headers, request.stamps]

    sig = work.s().stamp(x=1, y=[2])
    with capture_tasks() as calls:
        sig.delay()
        work.apply_async(stamped_headers=["x"], x=1)
        signature("unknown.task").stamp(x=1).delay()
        group([sig]).apply_async()
    expected = {"stamped_headers": ["x", "y"], "x": 1, "y": [2]}
    assert {k: calls[0].options[k] for k in expected} == expected
    assert calls[1].options == {"stamped_headers": ["x"], "x": 1}
    assert calls[2].options == {"stamped_headers": ["x"], "x": 1}
    assert {k: calls[3].options[k] for k in expected} == expected
    assert sig.apply().get() == [["x", "y"], {"x": 1, "y": [2]}]
    with pytest.raises(TypeError, match="unknown option 'z'"):
        work.apply_async(stamped_headers=["x"], z=1)
