"""Looking for an argument's value in payloads: roughly in SQL, then exactly."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from djtasks.browser.filter import Term
from djtasks.browser.reading import fetch
from djtasks.browser.record import loaded
from djtasks.browser.sql import load
from djtasks.codec.types import TAG

__all__ = ["has_terms", "needles", "pattern", "payloads"]

PAYLOADS = load("payloads")

_TAGGED: Final = rf'(?:\{{"{re.escape(TAG)}": ?"[^"]*", ?"v": ?)?'


def needles(term: Term) -> list[str]:
    """Texts that every payload with this argument has in it."""
    keys = [] if isinstance(term.key, int) else [_json(term.key)]
    return [*keys, _json(term.value)[1:-1]]


def pattern(term: Term) -> str:
    """A regular expression, as PostgreSQL has them, that finds all payloads with this argument.

    It also finds some without it: where it is in a deeper place.
    """
    text = re.escape(_json(term.value))
    value = f"(?:{text}|{text[1:-1]})"
    if isinstance(term.key, int):
        return rf"[\[,] ?{_TAGGED}{value}[,}}\]]"
    return rf"{re.escape(_json(term.key))}[:,] ?{_TAGGED}{value}[,}}\]]"


def payloads(ids: Iterable[UUID], *, using: str | None = None) -> dict[UUID, str]:
    """The whole payloads of these tasks, read from their own rows where they are large."""
    rows = fetch(PAYLOADS, {"ids": list(ids)}, using=using)
    return {id: text for id, text in rows if text is not None}


def has_terms(payload: str, terms: Sequence[Term]) -> bool:
    """Whether a call had all of these arguments."""
    call = loaded(payload)
    if not (isinstance(call, list) and len(call) == 2):
        return False
    args, kwargs = call
    if isinstance(kwargs, dict) and TAG in kwargs:
        # A name that is the tag itself: the codec writes the names and values as pairs.
        pairs = kwargs.get("v")
        kwargs = dict(pairs) if isinstance(pairs, list) else {}
    return all(_has(args, kwargs, term) for term in terms)


def _has(args: Any, kwargs: Any, term: Term) -> bool:
    if isinstance(term.key, int):
        return isinstance(args, list) and term.key < len(args) and _is(args[term.key], term.value)
    return isinstance(kwargs, dict) and term.key in kwargs and _is(kwargs[term.key], term.value)


def _is(stored: Any, value: str) -> bool:
    if isinstance(stored, dict) and TAG in stored:
        stored = stored.get("v")
    if isinstance(stored, str):
        return stored == value
    return _json(stored) == value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
