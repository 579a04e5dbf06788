"""Stored JSON as people read it: indented, short lists on one line, types by their names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from djtasks.codec.types import TAG
from djtasks.look.text import HIDDEN, SENT, Cut

__all__ = ["call_line", "editable", "loaded", "pretty", "pretty_call", "readable"]

PARSED: Final = 200_000
"""Characters above which JSON is shown as it is stored: making it pretty would take too long."""

WIDTH: Final = 88
DEPTH: Final = 60

# Instances of models are written in a third of what is stored of them, hardly more.
ROOM: Final = 3 * WIDTH
"""Characters of a stored value above which no line has room for it."""

_BREAK: Final = re.compile(r"(,?)\n *")

_UNREADABLE: Final = object()


def readable(text: str) -> str:
    """JSON text, indented; as it is where it is no JSON, too long or too deep to be parsed."""
    value = loaded(text, default=_UNREADABLE)
    return text if value is _UNREADABLE else pretty(value)


def loaded(text: str, default: Any = None) -> Any:
    """The value of JSON text, or ``default`` where it cannot be had."""
    if len(text) > PARSED:
        return default
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return default


def pretty(value: Any) -> str:
    """A value of JSON, indented; a :class:`Cut` where a page would not show all of it."""
    return _beginning(_pretty(value, "", 0), value)


def pretty_call(args: list[Any], kwargs: dict[str, Any]) -> str:
    """Arguments, each indented on lines of its own; cut as :func:`pretty` does."""
    return _beginning(_pretty_call(args, kwargs), [args, kwargs])


def _pretty_call(args: list[Any], kwargs: dict[str, Any]) -> Iterator[str]:
    named = [("", value) for value in args]
    named += [(f"{name}=", value) for name, value in kwargs.items()]
    for number, (name, value) in enumerate(named):
        yield f",\n{name}" if number else name
        yield from _pretty(value, "", 0)


def _beginning(parts: Iterable[str], value: Any) -> str:
    """As many of the parts as a page shows: what a large value has beyond is never written."""
    made: list[str] = []
    length = 0
    for part in parts:
        made.append(part)
        length += len(part)
        if length > SENT:
            text = "".join(made)
            return Cut(text, _left_out(text, value))
    return "".join(made)


def _left_out(text: str, value: Any) -> int:
    """How much of a value is not in its beginning, in characters of JSON on one line."""
    told = len(_BREAK.sub(lambda found: ", " if found[1] else "", text))
    try:
        return max(len(_scalar(value)) - told, 0)
    except RecursionError:
        return 0


def editable(value: Any) -> str:
    """A value as indented JSON, with what would act unseen written as escapes of JSON.

    Raises :class:`RecursionError` for what is nested too deeply.
    """
    return HIDDEN.sub(_escaped, json.dumps(value, indent=2, ensure_ascii=False))


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


def call_line(args: Any, kwargs: Any) -> str:
    """Arguments as they would stand between the parentheses of a call."""
    parts: list[str] = []
    if isinstance(args, list):
        parts += map(_line, args)
    if isinstance(kwargs, dict):
        parts += [f"{name}={_line(value)}" for name, value in kwargs.items()]
    return ", ".join(parts)


def _line(value: Any, depth: int = 0) -> str:
    """A value on one line."""
    if depth > DEPTH:
        return "…"
    if isinstance(value, list):
        return f"[{', '.join(_line(item, depth + 1) for item in value)}]"
    if isinstance(value, dict):
        if TAG in value:
            if (instance := _instance(value)) is not None:
                return instance
            return f"{_tag(value)}({_inside(value.get('v'), depth)})"
        pairs = (f"{_scalar(name)}: {_line(item, depth + 1)}" for name, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    return _scalar(value)


def _inside(stored: Any, depth: int) -> str:
    if isinstance(stored, list):
        return ", ".join(_line(item, depth + 1) for item in stored)
    return _line(stored, depth + 1)


def _pretty(value: Any, indent: str, depth: int) -> Iterator[str]:
    if not isinstance(value, (list, dict)) or not value or depth > DEPTH:
        yield _line(value, depth)
        return
    flat = _line(value, depth) if len(indent) < WIDTH and _is_small(value) else None
    if flat is not None and len(indent) + len(flat) <= WIDTH:
        yield flat
        return
    inner = indent + "  "
    if isinstance(value, dict) and TAG in value:
        if (instance := _instance(value)) is not None:
            yield instance
            return
        yield f"{_tag(value)}("
        yield from _pretty(value.get("v"), indent, depth + 1)
        yield ")"
    elif isinstance(value, dict):
        yield "{"
        for number, (name, item) in enumerate(value.items()):
            yield f"{',' if number else ''}\n{inner}{_scalar(name)}: "
            yield from _pretty(item, inner, depth + 1)
        yield f"\n{indent}}}"
    else:
        yield "["
        for number, item in enumerate(value):
            yield f"{',' if number else ''}\n{inner}"
            yield from _pretty(item, inner, depth + 1)
        yield f"\n{indent}]"


def _is_small(value: Any) -> bool:
    """Whether a line could have room for it: looked at before it is written for nothing."""
    return _left(value, ROOM) >= 0


def _left(value: Any, room: int) -> int:
    """What a value leaves of so many characters at most; it is not looked at beyond them."""
    if isinstance(value, str):
        return room - len(value)
    if not isinstance(value, (list, dict)):
        return room - 1
    room -= 2
    for item in value:
        if isinstance(value, dict):
            room -= len(item) if item != TAG else 0
            item = value[item]
        room = _left(item, room)
        if room < 0:
            break
    return room


def _instance(value: dict[str, Any]) -> str | None:
    """A model instance as its label and key, with its database if that is not the usual one."""
    match value:
        case {"__djtasks__": "model", "v": [str(label), pk, str(alias)]} if _is_small(pk):
            using = "" if alias == "default" else f", using={_scalar(alias)}"
            return f"{label}({_line(pk, 1)}{using})"
    return None


def _tag(value: dict[str, Any]) -> str:
    return str(value[TAG])


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
