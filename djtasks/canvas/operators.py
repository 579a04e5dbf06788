"""What ``a | b`` and ``chain(a, b)`` are, as two tables.

The first one has the kinds of both sides. A chain on the left takes steps one after the other: what
a further step does to it is in the second one, by the kinds of its last step and of the new one.
Neither side is changed: what comes out is made of copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

from djtasks.canvas.chain import chain
from djtasks.canvas.chord import chord
from djtasks.canvas.group import group, passed_on, with_options
from djtasks.canvas.links import as_list
from djtasks.canvas.signature import Signature, signature

Sig = Signature[Any]
Steps = list[Sig]


def kind_of(sig: Sig) -> str:
    """The kind of a side of ``|``: ``task``, ``chain``, ``group`` or ``chord``."""
    for kind, cls in (("chain", chain), ("group", group), ("chord", chord)):
        if isinstance(sig, cls):
            return kind
    return "task"


def is_nothing(sig: Sig) -> bool:
    """Whether a signature is a group or chain without members, which adds nothing as a step."""
    if isinstance(sig, group):
        return not sig
    return isinstance(sig, chain) and not sig.tasks


def unrolled(sig: Sig) -> Sig:
    """The member of a group of one, else the signature itself."""
    if isinstance(sig, group) and sig.size_up_to(2) == 1:
        member = sig.tasks[0]
        if not sig.options:
            return member
        # Its id stays behind: it is that of the group, which is no more.
        found = with_options(member, passed_on(sig))
        for link in as_list(sig.options.get("link")):
            found.link(signature(link).set(immutable=True))
        return found
    return sig


def combined(left: Sig, right: object) -> Any:
    """What ``left | right`` is; ``NotImplemented`` if ``right`` is no signature.

    Raises :class:`TypeError` if it is a dict that is none.
    """
    if not isinstance(right, Signature):
        if isinstance(right, dict):
            # It would take the signature for a dict to merge with.
            raise TypeError(
                "unsupported operand type for |: a dict. Make it a signature: signature(d)."
            )
        return NotImplemented
    kind = kind_of(left)
    if is_nothing(right):
        return chain([left]) if kind == "task" else left.clone()
    if kind != "group":
        right = unrolled(right)
    return PAIRS[kind, kind_of(right)](left, right)


def folded(items: Iterable[Sig], steps: Steps | None = None) -> Any:
    """The steps of a chain of ``items``: a list, or what they are if that is no chain.

    It is what folding them with ``|`` onto an empty chain gives. ``steps`` are added to in place.
    """
    steps = [] if steps is None else steps
    remaining = iter(items)
    for item in remaining:
        found = _extended(steps, item)
        if found is not steps:
            return reduce(combined, remaining, found)
    return steps


def _extended(steps: Steps, item: Sig) -> Any:
    """Add a step to a chain; returns the steps, or what has taken their place."""
    if is_nothing(item):
        return steps
    item = unrolled(item)
    if isinstance(item, chain):
        return folded(item.unchain_tasks(), steps)
    while steps and isinstance(steps[-1], chain):
        # A chain that was rebuilt, or made of a chain alone, may still have one as its last step.
        steps[-1:] = steps[-1].unchain_tasks()
    if not steps:
        if isinstance(item, group):
            return item.clone()
        steps.append(item.clone())
        return steps
    STEPS[kind_of(steps[-1]), kind_of(item)](steps, item)
    return steps


# A side that is no chain


def _sequence(left: Sig, right: Sig) -> Sig:
    steps = right.unchain_tasks() if isinstance(right, chain) else [right.clone()]
    return _chain_of([left.clone(), *steps])


def _gather(left: Sig, right: Sig) -> Sig:
    return chord(left.clone(), right.clone())


def _into_body(left: Any, right: Sig) -> Sig:
    found = left.clone()
    _continue_body(found, right)
    return found  # type: ignore[no-any-return]


def _extend(left: Any, right: Sig) -> Any:
    found = folded([right], left.unchain_tasks())
    return _chain_of(found) if isinstance(found, list) else found


# A step after the last one of a chain


def _append(steps: Steps, item: Sig) -> None:
    steps.append(item.clone())


def _gather_last(steps: Steps, item: Sig) -> None:
    whole = chord(steps.pop(), item.clone())
    if steps and isinstance(steps[-1], chord):
        _continue_body(steps[-1], whole)
    else:
        steps.append(whole)


def _into_last_body(steps: Steps, item: Sig) -> None:
    _continue_body(steps[-1], item)


def _continue_body(whole: Any, item: Sig) -> None:
    body = whole.body
    if body is None:
        whole.body = item.clone()
    elif isinstance(body, chain) and body.tasks and not body.options:
        # It is ours: a long body is not copied for every step.
        folded([item], body.tasks)
    else:
        whole.body = combined(body, item)


def _chain_of(steps: Steps) -> Sig:
    found = chain()
    found.tasks = steps
    return found


PAIRS: dict[tuple[str, str], Callable[[Any, Sig], Any]] = {
    ("task", "task"): _sequence,
    ("task", "chain"): _sequence,
    ("task", "group"): _sequence,
    ("task", "chord"): _sequence,
    ("group", "task"): _gather,
    ("group", "chain"): _gather,
    ("group", "group"): _gather,
    ("group", "chord"): _gather,
    ("chord", "task"): _into_body,
    ("chord", "chain"): _sequence,
    ("chord", "group"): _sequence,
    ("chord", "chord"): _into_body,
    ("chain", "task"): _extend,
    ("chain", "chain"): _extend,
    ("chain", "group"): _extend,
    ("chain", "chord"): _extend,
}
"""By the kinds of both sides. A group of one on the right counts as its member, except after a
group; a right side without members is not asked for here."""

STEPS: dict[tuple[str, str], Callable[[Steps, Sig], None]] = {
    ("task", "task"): _append,
    ("task", "group"): _append,
    ("task", "chord"): _append,
    ("group", "task"): _gather_last,
    ("group", "group"): _append,
    ("group", "chord"): _gather_last,
    ("chord", "task"): _into_last_body,
    ("chord", "group"): _into_last_body,
    ("chord", "chord"): _append,
}
"""By the kinds of the last step of a chain and of the one that is added."""
