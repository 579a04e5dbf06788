"""What must come out of a workflow, told twice without the code under test.

:class:`Expected` goes through its tree by Celery's definitions; :func:`interpreted` goes through
the rows of its plan and knows no tree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from djtasks.canvas.plan import Gathering, Step
from djtasks.exceptions import ChordError
from djtasks.result_set import ResultSet
from tests.canvas_trees import (
    Chord,
    Group,
    Leaf,
    Tree,
    begins_as_group,
    ends_as_list,
    is_nothing,
    members,
    steps_of,
)


@dataclass(frozen=True)
class Failed:
    """An end without a result; the time is for those that several failures reach."""

    state: str
    shown: str = field(default="")
    time: tuple[int, int] = field(default=(0, 0), compare=False)

    def passed_on(self, cause: str = "") -> Failed:
        """How what waits for it ends; with a ``cause``, the body of a chord."""
        time = (self.time[0], self.time[1] + 1)
        state, shown = self.state, self.shown
        if state == "IGNORED":
            # It has not failed, but the result that others wait for will never be there.
            state, shown = "REVOKED", "TaskRevokedError('what it waits for was ignored')"
        if cause:
            state, shown = "FAILURE", repr(ChordError(f"Dependency {cause} raised {shown}"))
        return Failed(state, shown, time)


Outcome = Failed | list[Any]
Given = Failed | tuple[Any, ...]
"""What a part gets from what it waits for: arguments, or a failure."""


def called(args: Iterable[Any], kwargs: Mapping[str, Any], time: int = 0) -> Outcome:
    """What a call of ``collect`` gives."""
    more = dict(kwargs)
    label, end, why = more.pop("label"), more.pop("end", ""), more.pop("why", "")
    if end == "raise":
        return Failed("FAILURE", repr(ValueError(why)), (time, 0))
    if end == "ignore":
        return Failed("IGNORED", "", (time, 0))
    return [label, *args, *(f"{name}={value}" for name, value in more.items())]


@dataclass
class Shape:
    """What a handle must be: of one task by its label, or of several; and its parent."""

    of: int | list[Shape]
    parent: Shape | None

    def paired(self, handle: Any) -> dict[int, Any]:
        """The handle of each task, by label; those that led to this one included."""
        found = {}
        if isinstance(self.of, int):
            assert not isinstance(handle, ResultSet)
            found[self.of] = handle
        else:
            assert isinstance(handle, ResultSet)
            assert len(handle.results) == len(self.of)
            for shape, part in zip(self.of, handle.results, strict=True):
                found |= shape.paired(part)
        assert (handle.parent is None) == (self.parent is None), handle
        return found if self.parent is None else found | self.parent.paired(handle.parent)

    def of_the_whole(self) -> Shape:
        """The same; for a group that is called, of one chain that ends in a group, the latter."""
        if isinstance(self.of, list) and len(self.of) == 1 and isinstance(self.of[0].of, list):
            return self.of[0]
        return self

    def value(self, outcomes: Mapping[int, Outcome]) -> Any:
        """The value of the whole."""
        return (
            outcomes[self.of] if isinstance(self.of, int) else [s.value(outcomes) for s in self.of]
        )


class Expected:
    """What each task of a tree must give; needs the order of ends only if several fail."""

    def __init__(
        self, tree: Tree, order: Sequence[int] = (), name: Callable[[int], str] = str
    ) -> None:
        self._times = {label: time for time, label in enumerate(order)}
        self._name = name
        self.outcomes: dict[int, Outcome] = {}
        self.ends, self.shape, _ = self._part(tree, (), None)
        self.frozen_shape = self.shape
        if isinstance(tree, Group) and self.shape is not None:
            self.shape = self.shape.of_the_whole()

    def _part(
        self, tree: Tree, given: Given, parent: Shape | None
    ) -> tuple[list[int], Shape | None, bool]:
        """Its ends, its shape, and whether a failure kept all of the ends from the same begin."""
        behind = isinstance(given, Failed)
        if isinstance(tree, Leaf):
            self.outcomes[tree.label] = self._leaf(tree, given)
            return [tree.label], Shape(tree.label, parent), behind
        if isinstance(tree, Group):
            parts = [self._part(part, given, None) for part in members(tree)]
            shapes = [shape for _, shape, _ in parts if shape]
            return [end for ends, _, _ in parts for end in ends], Shape(shapes, parent), behind
        if isinstance(tree, Chord):
            if all(is_nothing(part) for part in tree.header):
                empty: Given = given if isinstance(given, Failed) else ([],)
                return self._part(tree.body, empty, Shape([], parent))
            ends, shape, behind = self._part(Group(tree.header), given, parent)
            joined = self._joined(ends, True, tree.body, behind)
            return self._part(tree.body, joined, shape)
        ends, shape, before = [], parent, None
        for step in steps_of(tree):
            if before is not None:
                given = self._joined(ends, ends_as_list(before), step, behind)
            ends, shape, behind = self._part(step, given, shape)
            before = step
        return ends, shape, behind

    def _leaf(self, leaf: Leaf, given: Given) -> Outcome:
        if isinstance(given, Failed):
            return given
        kwargs = {"label": leaf.label, "end": leaf.end, "why": leaf.why, **dict(leaf.more)}
        args = leaf.args if leaf.immutable else (*given, *leaf.args)
        return called(args, kwargs, self._times.get(leaf.label, 0))

    def _joined(self, ends: list[int], many: bool, to: Tree, behind: bool) -> Given:
        """What comes after these ends gets; ``behind`` says that a failure kept them all away."""
        outcomes = [self.outcomes[end] for end in ends]
        failed = [(e, o) for e, o in zip(ends, outcomes, strict=True) if isinstance(o, Failed)]
        if not failed:
            return (outcomes,) if many else (outcomes[0],)
        end, first = min(failed, key=lambda pair: pair[1].time)
        # A chord that never began fails as a step of a chain does.
        is_chord = many and not begins_as_group(to) and not behind
        return first.passed_on(self._name(end) if is_chord else "")


# What rows mean


def interpreted(
    rows: Iterable[Step | Gathering], choose: Callable[[int], int]
) -> tuple[dict[int, Outcome], list[int]]:
    """Run rows, the next one of those that are ready being ``choose``'s; the order is told too."""
    joins: dict[UUID | None, Gathering] = {}
    waiting: dict[UUID | None, list[Step]] = defaultdict(list)
    for row in rows:
        if isinstance(row, Gathering):
            joins[row.id] = row
        else:
            waiting[row.after].append(row)
    ready = [(step, step.args) for step in waiting.pop(None, ())]
    inputs: dict[UUID | None, dict[int, Outcome]] = defaultdict(dict)
    outcomes: dict[int, Outcome] = {}
    order: list[int] = []
    while ready:
        step, args = ready.pop(choose(len(ready)))
        order.append(step.kwargs["label"])
        wave: list[tuple[Step, Outcome]] = [(step, called(args, step.kwargs))]
        failed: set[UUID | None] = set()
        while wave:
            step, outcome = wave.pop(0)
            assert step.kwargs["label"] not in outcomes, "it ended twice"
            outcomes[step.kwargs["label"]] = outcome
            is_counted = step.position is not None
            if isinstance(outcome, Failed):
                join = joins.get(step.feeds)
                behind = join is not None and join.after in failed
                failed.add(step.feeds)
                is_chord = is_counted and not behind and not (join and join.is_group)
                ended = outcome.passed_on(name_of(step) if is_chord else "")
                wave += [(later, ended) for later in waiting.pop(step.feeds, ())]
                continue
            got = inputs[step.feeds]
            got[step.position or 0] = outcome
            if not is_counted or len(got) == joins[step.feeds].size:
                value = [got[place] for place in sorted(got)] if is_counted else outcome
                for later in waiting.pop(step.feeds, ()):
                    ready.append((later, later.args if later.immutable else (value, *later.args)))
    assert not waiting
    return outcomes, order


def name_of(step: Step) -> str:
    """The id of a step as users see it."""
    return step.custom_id or str(step.id)


def numbered_ids() -> Callable[[], UUID]:
    """Ids from one on."""
    numbers: Iterator[int] = iter(range(1, 10**9))
    return lambda: UUID(int=next(numbers))
