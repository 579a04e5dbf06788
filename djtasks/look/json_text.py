"""Stored JSON as people read it: indented, short lists on one line, types by their names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from djtasks.codec.types import TAG
from djtasks.look.text import HIDDEN, SENT

__all__ = ["call_line", "editable", "loaded", "pretty", "readable"]

PARSED: Final = 200_000
"""Characters above which JSON is shown as it is stored: making it pretty would take too long."""

WIDTH: Final = 88
DEPTH: Final = 60

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
    """A value of JSON, indented; it ends with an ellipsis where a page would not show more."""
    parts: list[str] = []
    length = 0
    for part in _pretty(value, "", 0):
        parts.append(part)
        length += len(part)
        if length > SENT:
            return f"{''.join(parts)}…"
    return "".join(parts)


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
    flat = _line(value, depth) if _is_small(value) else None
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


def _is_small(value: list[Any] | dict[str, Any]) -> bool:
    """Whether a line could have room for it: looked at before it is written for nothing."""
    items = value if isinstance(value, list) else value.values()
    return len(value) <= WIDTH // 3 and all(
        not isinstance(item, (list, dict, str)) or len(item) <= WIDTH for item in items
    )


def _instance(value: dict[str, Any]) -> str | None:
    """A model instance as its label and key, with its database if that is not the usual one."""
    match value:
        case {"__djtasks__": "model", "v": [str(label), pk, str(alias)]}:
            using = "" if alias == "default" else f", using={_scalar(alias)}"
            return f"{label}({_line(pk, 1)}{using})"
    return None


def _tag(value: dict[str, Any]) -> str:
    return str(value[TAG])


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
