"""Random workflows: their trees, and the signatures that are made of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Any

from hypothesis import strategies as st

from djtasks import chain, chord, group, signature
from tests.testapp.canvas_tasks import collect


@dataclass(frozen=True)
class Leaf:
    """A call of ``collect``. ``end`` is how it ends if not well, with ``why`` as its reason."""

    args: tuple[Any, ...] = ()
    more: tuple[tuple[str, Any], ...] = ()
    immutable: bool = False
    has_id: bool = False
    label: int = -1
    end: str = ""
    why: str = ""


@dataclass(frozen=True)
class Chain:
    steps: tuple[Tree, ...]
    how: str = "list"


@dataclass(frozen=True)
class Group:
    members: tuple[Tree, ...]
    how: str = "list"


@dataclass(frozen=True)
class Chord:
    header: tuple[Tree, ...]
    body: Tree
    how: str = "list"


@dataclass(frozen=True)
class Partial:
    """A workflow with more arguments for those of its tasks that begin."""

    args: tuple[Any, ...]
    tree: Tree


Tree = Leaf | Chain | Group | Chord | Partial


# Trees


ARGUMENTS = st.sampled_from(
    [(), (), (), (0,), ("x", None), ([],), ([1, [2]], "q\"'\\"), ({"k": "ü"},), ("long " * 500,)]
)

MORE = st.sampled_from([(), (("more", 1),)])

SOMETIMES = st.sampled_from([False] * 5 + [True])


@st.composite
def trees(draw: st.DrawFn, most: int = 10) -> Tree:
    """Workflows of about so many tasks, all of which end well, some of them after a retry."""
    left = most

    def parts(depth: int) -> tuple[Tree, ...]:
        return tuple(part(depth - 1) for _ in range(draw(st.sampled_from(SIZES))))

    def part(depth: int) -> Tree:
        nonlocal left
        kinds = KINDS if depth < DEPTH else KINDS[KINDS.count(Leaf) :]
        kind = draw(st.sampled_from(kinds)) if depth and left > 0 else Leaf
        if kind is Chain:
            how = draw(st.sampled_from(["list", "star", "operators"]))
            return Chain(_without_quirk(parts(depth)), how)
        if kind is Group:
            return Group(parts(depth), draw(st.sampled_from(["list", "star", "generator"])))
        if kind is Partial:
            return Partial(draw(ARGUMENTS), part(depth - 1))
        if kind is Chord:
            how = draw(st.sampled_from(["list", "generator", "group", "operators"]))
            header, body = parts(depth), part(depth - 1)
            return Chord(header, Leaf() if is_nothing(body) else body, how)
        left -= 1
        end = "retry" if draw(SOMETIMES) else ""
        return Leaf(draw(ARGUMENTS), (), draw(SOMETIMES), draw(SOMETIMES), end=end)

    return numbered(part(DEPTH))


DEPTH = 4

SIZES = [2, 1, 3, 2, 0, 4]

KINDS = [Leaf, Leaf, Leaf, Leaf, Chain, Chain, Group, Group, Chord, Chord, Partial]

REASONS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6
) | st.sampled_from(["'", '"', "'\"", "\\", "\n\t\x7f\xa0", "\u2028", "é\U0001f600"])


@st.composite
def failing(draw: st.DrawFn, most: int = 10) -> Tree:
    """Workflows in which one task or several do not end well."""
    tree = draw(trees(most))
    count = len(leaves_of(tree))
    chosen = draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=3)) if count else set()

    def change(leaf: Leaf) -> Leaf:
        if leaf.label not in chosen:
            return leaf
        return replace(leaf, end="ignore" if draw(SOMETIMES) else "raise", why=draw(REASONS))

    return changed(tree, change)


def _without_quirk(steps: Iterable[Tree]) -> tuple[Tree, ...]:
    """Steps without a group of one behind a group that is first, where Celery does not unroll it.

    What that becomes is told by the table of operators.
    """
    found: list[Tree] = []
    for step in steps:
        so_far = steps_of(resolved(Chain(tuple(found))))
        whole = resolved(step)
        if isinstance(whole, Group) and len(so_far) == 1 and isinstance(so_far[0], Group):
            alone = members(whole)
            found.append(alone[0] if len(alone) == 1 else step)
        else:
            found.append(step)
    return tuple(found)


def changed(tree: Tree, change: Callable[[Leaf], Leaf]) -> Tree:
    """The tree with other leaves, changed in their order."""
    if isinstance(tree, Leaf):
        return change(tree)
    if isinstance(tree, Chain):
        return replace(tree, steps=tuple(changed(step, change) for step in tree.steps))
    if isinstance(tree, Group):
        return replace(tree, members=tuple(changed(part, change) for part in tree.members))
    if isinstance(tree, Chord):
        header = tuple(changed(part, change) for part in tree.header)
        return replace(tree, header=header, body=changed(tree.body, change))
    return replace(tree, tree=changed(tree.tree, change))


def leaves_of(tree: Tree) -> list[Leaf]:
    """All tasks in order."""
    found: list[Leaf] = []

    def keep(leaf: Leaf) -> Leaf:
        found.append(leaf)
        return leaf

    changed(tree, keep)
    return found


def numbered(tree: Tree, first: int = 0) -> Tree:
    """The tree with labels from ``first`` on."""
    labels = iter(range(first, first + len(leaves_of(tree))))
    return changed(tree, lambda leaf: replace(leaf, label=next(labels)))


# Signatures


def built(tree: Tree) -> Any:
    """The signature, made with the constructors and operators that the tree names."""
    if isinstance(tree, Leaf):
        more = {"end": tree.end, "why": tree.why} if tree.end else {}
        sig = collect.s(*tree.args, label=tree.label, **dict(tree.more), **more)
        sig.immutable = tree.immutable
        return sig.set(task_id=f"own-{tree.label}") if tree.has_id else sig
    if isinstance(tree, Partial):
        return built(tree.tree).clone(tree.args)
    if isinstance(tree, Chain):
        steps = [built(step) for step in tree.steps]
        plain = all(
            isinstance(step, (Leaf, Chord)) or (isinstance(step, Group) and len(members(step)) > 1)
            for step in tree.steps
        )
        alone = len(steps) == 1 and isinstance(tree.steps[0], Group)
        # Celery differs where a group of one is a side of an operator, or any is alone in chain().
        if not plain or alone or not steps or tree.how == "list":
            return chain(steps)
        return chain(*steps) if tree.how == "star" else reduce(or_, steps)
    parts = tree.members if isinstance(tree, Group) else tree.header
    made: Any = [built(part) for part in parts]
    if tree.how == "generator":
        made = (sig for sig in made)
    if isinstance(tree, Group):
        return group(*made) if tree.how == "star" and len(parts) != 1 else group(made)
    if tree.how == "operators":
        return group(made) | built(tree.body)
    return chord(group(made) if tree.how == "group" else made, built(tree.body))


def as_given(tree: Tree) -> Any:
    """The signature as JSON says what the tree does: nothing is folded or unrolled."""
    return signature(json.loads(json.dumps(_plain(resolved(tree)))))


def _plain(tree: Tree) -> dict[str, Any]:
    if isinstance(tree, Leaf):
        return dict(built(tree))
    kwargs: dict[str, Any]
    if isinstance(tree, Chain):
        alone = steps_of(tree)
        if len(alone) == 1 and isinstance(alone[0], Group):
            return _plain(alone[0])
        # A group without members, and nothing else, has the result of a group.
        steps = [s for s in tree.steps if alone or not isinstance(s, Group)]
        kind, kwargs = "chain", {"tasks": [_plain(step) for step in steps]}
    elif isinstance(tree, Group):
        kind, kwargs = "group", {"tasks": [_plain(part) for part in tree.members]}
    else:
        assert isinstance(tree, Chord)
        header = [_plain(part) for part in tree.header]
        kind, kwargs = "chord", {"header": header, "body": _plain(tree.body), "kwargs": {}}
    return {
        "task": f"djtasks.{kind}",
        "args": [],
        "kwargs": kwargs,
        "options": {},
        "subtask_type": kind,
        "immutable": False,
    }


# What is in a tree


def is_nothing(tree: Tree) -> bool:
    """Whether there is no task in it that a chain or a chord would wait for."""
    if isinstance(tree, Partial):
        return is_nothing(tree.tree)
    if isinstance(tree, Chain):
        return all(is_nothing(step) for step in tree.steps)
    return isinstance(tree, Group) and all(is_nothing(part) for part in tree.members)


def resolved(
    tree: Tree, args: tuple[Any, ...] = (), more: tuple[tuple[str, Any], ...] = ()
) -> Tree:
    """The tree with all arguments, these among them, where they belong: in the leaves."""
    if isinstance(tree, Partial):
        return resolved(resolved(tree.tree, tree.args), args, more)
    if isinstance(tree, Leaf):
        return tree if tree.immutable else replace(tree, args=args + tree.args, more=more)
    if isinstance(tree, Group):
        return replace(tree, members=tuple(resolved(part, args, more) for part in tree.members))
    if isinstance(tree, Chord):
        header = tuple(resolved(part, args, more) for part in tree.header)
        return replace(tree, header=header, body=resolved(tree.body))
    first = next((n for n, step in enumerate(tree.steps) if not is_nothing(step)), None)
    return replace(
        tree,
        steps=tuple(
            resolved(step, args, more) if n == first else resolved(step)
            for n, step in enumerate(tree.steps)
        ),
    )


def members(tree: Tree) -> list[Tree]:
    """What runs side by side: the members of groups in it in the place of those."""
    if isinstance(tree, Group):
        return [one for part in tree.members for one in members(part)]
    if isinstance(tree, Chain):
        alone = steps_of(tree)
        if len(alone) == 1 and isinstance(alone[0], Group):
            return members(alone[0])
    return [] if is_nothing(tree) else [tree]


def steps_of(tree: Tree) -> list[Tree]:
    """What runs one after the other: a group of one is its member, a chain its steps."""
    if isinstance(tree, Chain):
        return [one for step in tree.steps for one in steps_of(step)]
    if not isinstance(tree, Group):
        return [tree]
    found = members(tree)
    if len(found) == 1:
        return steps_of(found[0])
    return [replace(tree, members=tuple(found))] if found else []


def ends_as_list(tree: Tree) -> bool:
    """Whether its result is a list of several tasks' results."""
    if isinstance(tree, Chain):
        return any(ends_as_list(step) for step in steps_of(tree)[-1:])
    return ends_as_list(tree.body) if isinstance(tree, Chord) else isinstance(tree, Group)


def begins_as_group(tree: Tree) -> bool:
    """Whether several tasks begin it."""
    if isinstance(tree, Chain):
        return any(begins_as_group(step) for step in steps_of(tree)[:1])
    return isinstance(tree, (Chord, Group))
