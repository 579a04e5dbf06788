"""What a signature is made of, as its plan needs to know it; also one that came from JSON."""

from __future__ import annotations

from typing import Any

from djtasks.canvas.signature import Signature, signature


def ends_in_group(sig: Signature[Any]) -> bool:
    """Whether a signature's result is a list of several tasks' results."""
    kind = sig.subtask_type
    if kind == "chain":
        steps = [step for step in members(sig) if not is_empty(step)]
        return bool(steps) and ends_in_group(steps[-1])
    if kind == "chord":
        return ends_in_group(body_of(sig))
    return kind == "group"


def starts_in_group(sig: Signature[Any]) -> bool:
    """Whether several tasks of a signature are its first."""
    if sig.subtask_type == "chain":
        steps = [step for step in members(sig) if not is_empty(step)]
        return bool(steps) and starts_in_group(steps[0])
    return sig.subtask_type in ("group", "chord")


def members(sig: Signature[Any]) -> list[Signature[Any]]:
    """The steps of a chain, those of chains among them included; a group of one is its member."""
    found: list[Signature[Any]] = []
    for item in sig.kwargs["tasks"]:
        step = item if isinstance(item, Signature) else signature(item)
        if step.subtask_type == "chain" and not step.options:
            found += members(step)
        else:
            found.append(_unrolled(step))
    return found


def _unrolled(step: Signature[Any]) -> Signature[Any]:
    if step.subtask_type != "group" or step.options:
        return step
    tasks = step.kwargs["tasks"]
    if isinstance(tasks, (list, tuple)) and len(tasks) == 1:
        only = tasks[0]
        return only if isinstance(only, Signature) else signature(only)
    return step


def is_empty(sig: Signature[Any]) -> bool:
    """Whether a signature is known to be a group or chain without members."""
    if sig.subtask_type not in ("group", "chain"):
        return False
    tasks = sig.kwargs["tasks"]
    return isinstance(tasks, (list, tuple)) and not tasks


def body_of(chord: Signature[Any]) -> Signature[Any]:
    """The body of a chord. Raises :class:`TypeError` if it has none."""
    body = chord.kwargs.get("body")
    if body is None:
        raise TypeError(
            "This chord has no body: give it one, chord(header, body) or chord(header)(body)."
        )
    return body if isinstance(body, Signature) else signature(body)
