"""``a | b`` and ``chain(a, b)``: what comes out, in the words of Celery 5.7.

The values of the tables are what Celery 5.7.0 gives for the same signatures; where we differ on
purpose, a test of its own says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from djtasks import Signature, chain, chord, group, signature
from djtasks.canvas.operators import PAIRS, STEPS
from tests.testapp.tasks import add


def sig(name: str) -> Signature[Any]:
    return signature("proj.add", (name,))


def told(s: Any) -> str:
    """The structure of a signature as text."""
    kind = s["subtask_type"]
    if kind == "chain":
        return f"chain({', '.join(told(t) for t in s['kwargs']['tasks'])})"
    if kind == "group":
        return f"group[{', '.join(told(t) for t in s['kwargs']['tasks'])}]"
    if kind == "chord":
        header = s["kwargs"]["header"]
        tasks = header["kwargs"]["tasks"] if isinstance(header, dict) else header
        return f"chord([{', '.join(told(t) for t in tasks)}] -> {told(s['kwargs']['body'])})"
    return str(s["args"][0])


SIDES: dict[str, Callable[[str], Signature[Any]]] = {
    "task": lambda p: sig(p),
    "chain0": lambda p: chain(),
    "chain1": lambda p: chain(sig(p + "1")),
    "chain2": lambda p: chain(sig(p + "1"), sig(p + "2")),
    "group0": lambda p: group(),
    "group1": lambda p: group(sig(p + "1")),
    "group2": lambda p: group(sig(p + "1"), sig(p + "2")),
    "chord": lambda p: chord([sig(p + "h1"), sig(p + "h2")], sig(p + "b")),
    "chordg": lambda p: chord([sig(p + "h1"), sig(p + "h2")], group(sig(p + "b1"), sig(p + "b2"))),
    "chordc": lambda p: chord([sig(p + "h1"), sig(p + "h2")], chain(sig(p + "b1"), sig(p + "b2"))),
    "chain_group": lambda p: chain(sig(p + "1"), group(sig(p + "2"), sig(p + "3"))),
    "chain_chord": lambda p: chain(
        sig(p + "1"), chord([sig(p + "h1"), sig(p + "h2")], sig(p + "b"))
    ),
}

CELERY = [
    ("task", "task", "chain(a, b)"),
    ("task", "chain0", "chain(a)"),
    ("task", "chain2", "chain(a, b1, b2)"),
    ("task", "group1", "chain(a, b1)"),
    ("task", "group2", "chain(a, group[b1, b2])"),
    ("task", "chord", "chain(a, chord([bh1, bh2] -> bb))"),
    ("task", "chain_group", "chain(a, b1, group[b2, b3])"),
    ("task", "chain_chord", "chain(a, b1, chord([bh1, bh2] -> bb))"),
    ("chain0", "task", "chain(b)"),
    ("chain0", "chain0", "chain()"),
    ("chain0", "chain2", "chain(b1, b2)"),
    ("chain0", "group0", "chain()"),
    ("chain0", "group1", "chain(b1)"),
    ("chain0", "group2", "group[b1, b2]"),
    ("chain0", "chord", "chain(chord([bh1, bh2] -> bb))"),
    ("chain0", "chain_group", "chain(b1, group[b2, b3])"),
    ("chain0", "chain_chord", "chain(b1, chord([bh1, bh2] -> bb))"),
    ("chain2", "task", "chain(a1, a2, b)"),
    ("chain2", "chain0", "chain(a1, a2)"),
    ("chain2", "chain2", "chain(a1, a2, b1, b2)"),
    ("chain2", "group0", "chain(a1, a2)"),
    ("chain2", "group1", "chain(a1, a2, b1)"),
    ("chain2", "group2", "chain(a1, a2, group[b1, b2])"),
    ("chain2", "chord", "chain(a1, a2, chord([bh1, bh2] -> bb))"),
    ("chain2", "chain_group", "chain(a1, a2, b1, group[b2, b3])"),
    ("chain2", "chain_chord", "chain(a1, a2, b1, chord([bh1, bh2] -> bb))"),
    ("group0", "task", "chord([] -> b)"),
    ("group0", "chain2", "chord([] -> chain(b1, b2))"),
    ("group0", "group0", "group[]"),
    ("group0", "group1", "chord([] -> group[b1])"),
    ("group0", "group2", "chord([] -> group[b1, b2])"),
    ("group0", "chord", "chord([] -> chord([bh1, bh2] -> bb))"),
    ("group0", "chain_group", "chord([] -> chain(b1, group[b2, b3]))"),
    ("group0", "chain_chord", "chord([] -> chain(b1, chord([bh1, bh2] -> bb)))"),
    ("group1", "task", "chord([a1] -> b)"),
    ("group1", "chain2", "chord([a1] -> chain(b1, b2))"),
    ("group1", "group0", "group[a1]"),
    ("group1", "group1", "chord([a1] -> group[b1])"),
    ("group1", "group2", "chord([a1] -> group[b1, b2])"),
    ("group1", "chord", "chord([a1] -> chord([bh1, bh2] -> bb))"),
    ("group1", "chain_group", "chord([a1] -> chain(b1, group[b2, b3]))"),
    ("group1", "chain_chord", "chord([a1] -> chain(b1, chord([bh1, bh2] -> bb)))"),
    ("group2", "task", "chord([a1, a2] -> b)"),
    ("group2", "chain2", "chord([a1, a2] -> chain(b1, b2))"),
    ("group2", "group0", "group[a1, a2]"),
    ("group2", "group1", "chord([a1, a2] -> group[b1])"),
    ("group2", "group2", "chord([a1, a2] -> group[b1, b2])"),
    ("group2", "chord", "chord([a1, a2] -> chord([bh1, bh2] -> bb))"),
    ("group2", "chain_group", "chord([a1, a2] -> chain(b1, group[b2, b3]))"),
    ("group2", "chain_chord", "chord([a1, a2] -> chain(b1, chord([bh1, bh2] -> bb)))"),
    ("chord", "task", "chord([ah1, ah2] -> chain(ab, b))"),
    ("chord", "chain2", "chain(chord([ah1, ah2] -> ab), b1, b2)"),
    ("chord", "group1", "chord([ah1, ah2] -> chain(ab, b1))"),
    ("chord", "group2", "chain(chord([ah1, ah2] -> ab), group[b1, b2])"),
    ("chord", "chord", "chord([ah1, ah2] -> chain(ab, chord([bh1, bh2] -> bb)))"),
    ("chord", "chain_group", "chain(chord([ah1, ah2] -> ab), b1, group[b2, b3])"),
    ("chord", "chain_chord", "chain(chord([ah1, ah2] -> ab), b1, chord([bh1, bh2] -> bb))"),
    ("chordg", "task", "chord([ah1, ah2] -> chord([ab1, ab2] -> b))"),
    ("chordg", "chain2", "chain(chord([ah1, ah2] -> group[ab1, ab2]), b1, b2)"),
    ("chordg", "group1", "chord([ah1, ah2] -> chord([ab1, ab2] -> b1))"),
    ("chordg", "group2", "chain(chord([ah1, ah2] -> group[ab1, ab2]), group[b1, b2])"),
    ("chordg", "chord", "chord([ah1, ah2] -> chord([ab1, ab2] -> chord([bh1, bh2] -> bb)))"),
    ("chordg", "chain_group", "chain(chord([ah1, ah2] -> group[ab1, ab2]), b1, group[b2, b3])"),
    (
        "chordg",
        "chain_chord",
        "chain(chord([ah1, ah2] -> group[ab1, ab2]), b1, chord([bh1, bh2] -> bb))",
    ),
    ("chordc", "task", "chord([ah1, ah2] -> chain(ab1, ab2, b))"),
    ("chordc", "chain2", "chain(chord([ah1, ah2] -> chain(ab1, ab2)), b1, b2)"),
    ("chordc", "group1", "chord([ah1, ah2] -> chain(ab1, ab2, b1))"),
    ("chordc", "group2", "chain(chord([ah1, ah2] -> chain(ab1, ab2)), group[b1, b2])"),
    ("chordc", "chord", "chord([ah1, ah2] -> chain(ab1, ab2, chord([bh1, bh2] -> bb)))"),
    ("chordc", "chain_group", "chain(chord([ah1, ah2] -> chain(ab1, ab2)), b1, group[b2, b3])"),
    (
        "chordc",
        "chain_chord",
        "chain(chord([ah1, ah2] -> chain(ab1, ab2)), b1, chord([bh1, bh2] -> bb))",
    ),
    ("chain_group", "task", "chain(a1, chord([a2, a3] -> b))"),
    ("chain_group", "chain0", "chain(a1, group[a2, a3])"),
    ("chain_group", "chain2", "chain(a1, chord([a2, a3] -> chain(b1, b2)))"),
    ("chain_group", "group0", "chain(a1, group[a2, a3])"),
    ("chain_group", "group1", "chain(a1, chord([a2, a3] -> b1))"),
    ("chain_group", "group2", "chain(a1, group[a2, a3], group[b1, b2])"),
    ("chain_group", "chord", "chain(a1, chord([a2, a3] -> chord([bh1, bh2] -> bb)))"),
    ("chain_group", "chain_group", "chain(a1, chord([a2, a3] -> chain(b1, group[b2, b3])))"),
    ("chain_group", "chain_chord", "chain(a1, chord([a2, a3] -> b1), chord([bh1, bh2] -> bb))"),
    ("chain_chord", "task", "chain(a1, chord([ah1, ah2] -> chain(ab, b)))"),
    ("chain_chord", "chain0", "chain(a1, chord([ah1, ah2] -> ab))"),
    ("chain_chord", "chain2", "chain(a1, chord([ah1, ah2] -> chain(ab, b1, b2)))"),
    ("chain_chord", "group0", "chain(a1, chord([ah1, ah2] -> ab))"),
    ("chain_chord", "group1", "chain(a1, chord([ah1, ah2] -> chain(ab, b1)))"),
    ("chain_chord", "group2", "chain(a1, chord([ah1, ah2] -> chain(ab, group[b1, b2])))"),
    ("chain_chord", "chord", "chain(a1, chord([ah1, ah2] -> ab), chord([bh1, bh2] -> bb))"),
    ("chain_chord", "chain_group", "chain(a1, chord([ah1, ah2] -> chain(ab, b1, group[b2, b3])))"),
    (
        "chain_chord",
        "chain_chord",
        "chain(a1, chord([ah1, ah2] -> chain(ab, b1)), chord([bh1, bh2] -> bb))",
    ),
]


@pytest.mark.parametrize(("left", "right", "expected"), CELERY)
def test_two_signatures_become_what_they_become_in_celery(
    left: str, right: str, expected: str
) -> None:
    assert told(SIDES[left]("a") | SIDES[right]("b")) == expected


@pytest.mark.parametrize(("left", "right", "expected"), CELERY)
def test_in_place_it_is_the_same(left: str, right: str, expected: str) -> None:
    found: Any = SIDES[left]("a")
    found |= SIDES[right]("b")
    assert told(found) == expected


@pytest.mark.parametrize("nothing", ["chain0", "group0"])
@pytest.mark.parametrize("left", ["chain2", "group1", "group2", "chord", "chordg", "chain_group"])
def test_a_right_side_without_members_adds_nothing(left: str, nothing: str) -> None:
    """Celery keeps some of them as steps, and makes a chord with an empty body of a group."""
    assert told(SIDES[left]("a") | SIDES[nothing]("b")) == told(SIDES[left]("a"))


@pytest.mark.parametrize("nothing", ["chain0", "group0"])
def test_a_task_and_nothing_are_a_chain_of_one(nothing: str) -> None:
    assert told(sig("a") | SIDES[nothing]("b")) == "chain(a)"


@pytest.mark.parametrize("left", SIDES)
@pytest.mark.parametrize("other", [5, None, "task", {"task": "proj.add"}, [sig("x")]])
def test_what_is_no_signature_is_refused(left: str, other: Any) -> None:
    """Celery takes anything for the body of a group's chord."""
    with pytest.raises(TypeError, match="unsupported operand"):
        SIDES[left]("a") | other
    with pytest.raises(TypeError, match="unsupported operand"):
        other | SIDES[left]("a")


@pytest.mark.parametrize(("left", "right"), list(product(SIDES, SIDES)))
def test_neither_side_is_changed_nor_shared(left: str, right: str) -> None:
    a, b = SIDES[left]("a"), SIDES[right]("b")
    before = json.dumps([a, b])
    found = a | b
    for part in parts(found):
        part.options["touched"] = True
        part.kwargs["touched"] = True
    assert json.dumps([a, b]) == before


def parts(s: Any) -> list[Any]:
    """A signature and all that is in it."""
    found = [s]
    inner = s.kwargs.get("tasks") or s.kwargs.get("header") or []
    for part in [*inner, s.kwargs.get("body")]:
        if part is not None:
            found += parts(part)
    return found


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        (("task", "task"), "chain(a, b)"),
        (("task", "group2"), "chain(a, group[b1, b2])"),
        (("task", "group1"), "chain(a, b1)"),
        (("group2", "task"), "chord([a1, a2] -> b)"),
        (("group2", "task", "task"), "chord([a1, a2] -> chain(b, c))"),
        (("group2", "group2"), "chord([a1, a2] -> group[b1, b2])"),
        (("group0", "task"), "chain(b)"),
        (("chain2", "chain2"), "chain(a1, a2, b1, b2)"),
        (("chain0", "group2", "task"), "chord([b1, b2] -> c)"),
        (("chord", "task"), "chain(chord([ah1, ah2] -> chain(ab, b)))"),
        (("chord", "group2"), "chain(chord([ah1, ah2] -> chain(ab, group[b1, b2])))"),
        (("chord", "chord"), "chain(chord([ah1, ah2] -> ab), chord([bh1, bh2] -> bb))"),
        (("chordg", "task"), "chain(chord([ah1, ah2] -> chord([ab1, ab2] -> b)))"),
        (("task", "group2", "task"), "chain(a, chord([b1, b2] -> c))"),
        (
            ("task", "chord", "group2", "task"),
            "chain(a, chord([bh1, bh2] -> chain(bb, chord([c1, c2] -> d))))",
        ),
        (("group2", "chain2", "group2"), "chain(chord([a1, a2] -> chain(b1, b2)), group[c1, c2])"),
    ],
)
def test_a_chain_of_several_is_what_celery_folds_them_to(
    sides: tuple[str, ...], expected: str
) -> None:
    steps = [SIDES[kind](name) for kind, name in zip(sides, "abcd", strict=False)]
    assert told(chain(*steps)) == expected
    assert told(chain(steps)) == expected
    assert told(chain(step for step in steps)) == expected


def test_two_chords_in_a_row_become_one_body() -> None:
    found = chain(SIDES["chordg"]("a"), SIDES["chain_group"]("b"), sig("c"))
    inner = "chord([ab1, ab2] -> chain(b1, chord([b2, b3] -> c)))"
    assert told(found) == f"chain(chord([ah1, ah2] -> chain({inner})))"


def test_a_chain_of_one_is_that_one() -> None:
    assert told(chain(sig("a"))) == "chain(a)"
    assert told(chain([sig("a")])) == "chain(a)"
    assert told(chain(SIDES["group2"]("a"))) == "chain(group[a1, a2])"
    assert told(chain([SIDES["group2"]("a")])) == "group[a1, a2]"
    assert told(chain()) == told(chain([])) == "chain()"


def test_a_chain_with_options_stays_a_chain() -> None:
    found = chain(group(sig("a"), sig("b")), sig("c"), queue="q")
    assert told(found) == "chain(chord([a, b] -> c))"
    assert found.options == {"queue": "q"}
    assert chain(sig("a"), queue="q").options == {"queue": "q"}


def test_a_thousand_steps_are_folded_in_one_pass() -> None:
    found = chain(chord([sig("h")], sig("b")), *(sig(str(i)) for i in range(1000)))
    (whole,) = found.tasks
    assert isinstance(whole, chord)
    assert isinstance(whole.body, chain)
    assert len(whole.body.tasks) == 1001


def test_what_a_chain_means_for_its_tasks_stays_when_it_is_continued() -> None:
    """Celery drops options other than links."""
    first = chain(sig("a"), sig("b"), queue="q", task_id="id", root_id="root")
    first.link(sig("callback"))
    first.link_error(sig("errback"))
    a, b, c = (first | sig("c")).tasks
    assert a.options == {"queue": "q", "root_id": "root", "link_error": [sig("errback")]}
    assert b.options == {
        "task_id": "id",
        "root_id": "root",
        "link": [sig("callback")],
        "link_error": [sig("errback")],
    }
    assert c.options == {}


def test_options_of_a_group_stay_when_it_becomes_a_header() -> None:
    """Celery drops them."""
    found = group(sig("a"), sig("b")).set(queue="q") | sig("c")
    assert isinstance(found, chord)
    assert found.header.options == {"queue": "q"}
    rebuilt = signature(json.loads(json.dumps(found)))
    assert isinstance(rebuilt, chord)
    assert rebuilt.header.options == {"queue": "q"}


def test_a_chord_without_a_body_gets_one() -> None:
    assert told(chord([sig("a")]) | sig("b")) == "chord([a] -> b)"


def test_a_generated_group_is_not_read_further_than_its_second_member() -> None:
    taken: list[int] = []

    def members(size: int) -> Any:
        for number in range(size):
            taken.append(number)
            yield sig(str(number))

    found = sig("a") | group(members(1000)) | sig("b")
    assert found.tasks[1].subtask_type == "chord"
    assert len(taken) == 2
    header = found.tasks[1].header
    assert sum(1 for _ in header.stream()) == 1000
    assert told(sig("a") | group(members(1))) == "chain(a, 0)"
    assert told(sig("a") | group(members(0))) == "chain(a)"


def test_every_pair_of_kinds_has_its_row() -> None:
    kinds = ("task", "chain", "group", "chord")
    assert set(PAIRS) == set(product(kinds, kinds))
    steps = ("task", "group", "chord")
    assert set(STEPS) == set(product(steps, steps))


def test_a_chain_that_is_the_last_step_of_another_is_continued() -> None:
    a, b, c = add.s(1), add.s(2), add.s(3)
    flat = [step.args for step in (chain(chain(a, b)) | c).tasks]
    assert flat == [(1,), (2,), (3,)]
    whole = chain(chord([a], chain(chain(a, b))), c)
    again = signature(json.loads(json.dumps(whole)))
    found: Any
    for found in (whole, again):
        assert [step.args for step in found.tasks[0].body.tasks] == [(1,), (2,), (3,)]
        assert found.freeze() is not None


def test_what_has_no_task_has_no_result_in_a_group() -> None:
    found = group(add.s(1), chain(chain()), chain(group()))
    assert len(found.freeze().results) == 1


def test_a_group_of_one_leaves_its_id_and_not_its_options() -> None:
    one = group([sig("m")], queue="q")
    one.link(sig("l"))
    one.options["link"] = [sig("k")]
    frozen = one.freeze()
    for whole in (sig("a") | one, chain(sig("a"), one)):
        last = whole.tasks[-1]
        assert last.id == frozen.results[0].id != frozen.id
        assert last.options["queue"] == "q"
        links = [link.args[0] for link in last.options["link"] if link.immutable]
        assert links == ["l", "k"]
