"""What a list of tasks is to show: a filter, and the text of the search box that says it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from difflib import get_close_matches
from typing import Any, Final
from uuid import UUID

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from djtasks.ids import to_uuid

__all__ = ["QUALIFIERS", "STATES", "Filter", "SearchError", "Term", "findable"]

STATES: Final = (
    "READY",
    "SCHEDULED",
    "WAITING",
    "BLOCKED",
    "RUNNING",
    "RETRY",
    "SUCCESS",
    "FAILURE",
    "REVOKED",
    "REJECTED",
)
"""What ``state:`` takes. SCHEDULED are all that wait for their time, those of RETRY among them."""

SYNONYMS: Final = {
    "PENDING": "READY",
    "STARTED": "RUNNING",
    "SUCCEEDED": "SUCCESS",
    "FAILED": "FAILURE",
    "RETRYING": "RETRY",
}

QUALIFIERS: Final = (
    "state",
    "queue",
    "task",
    "schedule",
    "worker",
    "lane",
    "root",
    "exception",
    "error",
    "since",
    "until",
    "retried",
    "id",
    "args.N",
    "kwargs.KEY",
)
"""What may stand before the colon."""

LONGEST: Final = 2_000
"""Characters that a search may have."""

_TEXTS: Final = ("queue", "task", "schedule", "worker", "lane", "exception", "error")
_YES_OR_NO: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}

_WORD: Final = re.compile(r'(?:[^\s"]+|"(?:[^"\\]|\\.)*"?)+', re.S)
_QUALIFIED: Final = re.compile(r"([A-Za-z]+(?:\.[^:\s]+)?):(.*)", re.S)
_AGO: Final = re.compile(r"(\d{1,6})([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_BEGINNING: Final = re.compile(r"[0-9a-f]{4,32}")
_PLAIN: Final = re.compile(r'[^\s"\\]+')


def findable(query: str) -> str:
    """A search that a link may ask for; empty if it is too long, for then it would be refused."""
    return query if len(query) <= LONGEST else ""


class SearchError(ValueError):
    """A search says something that cannot be searched for; the message says what can."""


@dataclass(frozen=True, slots=True)
class Term:
    """An argument that a call has: ``key`` is a position or a name, ``value`` its text."""

    key: int | str
    value: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that all hold; an empty one lets every task through.

    ``task`` and ``exception`` are a full name, or its last part; with ``=`` in front only the full
    name. ``schedule`` is the name of the schedule that sent it. An empty ``exception`` is none.
    ``worker``, ``error`` and ``text`` are parts of a text, in any case. ``error`` looks at the
    exception's class and its message, ``text`` at the task's name. ``lane`` is a lane or a rate
    as a task's page names it, of what is queued.
    ``id`` is an id, its beginning, or the caller's own. ``since`` and ``until`` are as they were
    typed: ``90s``, ``10m``, ``24h``, ``7d`` ago, or a date or time in ISO 8601.
    """

    states: tuple[str, ...] = ()
    queue: str | None = None
    task: str | None = None
    schedule: str | None = None
    worker: str | None = None
    lane: str | None = None
    root: UUID | None = None
    exception: str | None = None
    error: str | None = None
    since: str | None = None
    until: str | None = None
    retried: bool | None = None
    id: str | None = None
    terms: tuple[Term, ...] = ()
    text: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Filter:
        """The filter that the text of a search box describes.

        Words are ``qualifier:value``, with quotes round a value that has blanks (a backslash before
        a quote in it); several states have commas between them. A bare word is the beginning of an
        id if it has at least four digits of one and is no mere word, otherwise a part of a task's
        name.

        Raises :class:`SearchError`, with a message for people, for what cannot be searched for.
        """
        if len(text) > LONGEST:
            most = number_format(LONGEST, force_grouping=True)
            raise SearchError(_("A search has at most %s characters.") % most)
        if not _can_be_stored(text):
            raise SearchError(_("A search cannot have NULs or halves of characters in it."))
        found: dict[str, Any] = {}
        for word in _WORD.findall(text):
            qualified = _QUALIFIED.fullmatch(word)
            if qualified:
                _take(found, qualified[1], qualified[2])
            elif _is_beginning(word):
                _once(found, "id", "id", word.lower())
            else:
                found["text"] = (*found.get("text", ()), _unquoted(word))
        return cls(**found)

    def to_query(self) -> str:
        """The text that :meth:`parse` makes this filter of."""
        words = [f"state:{','.join(self.states)}"] if self.states else []
        words += [
            f"{name}:{quoted(value)}"
            for name in (*_TEXTS, "since", "until", "id")
            if (value := getattr(self, name)) is not None
        ]
        if self.root is not None:
            words.append(f"root:{self.root}")
        if self.retried is not None:
            words.append(f"retried:{'yes' if self.retried else 'no'}")
        for term in self.terms:
            kind = "args" if isinstance(term.key, int) else "kwargs"
            words.append(f"{kind}.{term.key}:{quoted(term.value)}")
        words += [quoted(part, bare=True) for part in self.text]
        return " ".join(words)

    def bounds(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """The times from which and before which tasks are looked for."""
        since = None if self.since is None else _moment("since", self.since, now)
        until = None if self.until is None else _moment("until", self.until, now)
        return since, until

    def __bool__(self) -> bool:
        """Whether it has a condition."""
        return self != Filter()


def quoted(value: str, *, bare: bool = False) -> str:
    """A value as it is written in a search; ``bare`` without a qualifier in front."""
    if _PLAIN.fullmatch(value) and not (bare and (":" in value or _is_beginning(value))):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquoted(word: str) -> str:
    if not word.startswith('"'):
        return word
    body = word[1:-1] if len(word) > 1 and word.endswith('"') else word[1:]
    return re.sub(r"\\(.)", r"\1", body, flags=re.S)


def _take(found: dict[str, Any], name: str, value: str) -> None:
    """Add what ``name:value`` says."""
    kind, dot, key = name.partition(".")
    kind = kind.lower()
    told = _unquoted(value)
    if kind in ("args", "kwargs") and dot:
        found["terms"] = (*found.get("terms", ()), _term(kind, key, told))
        return
    if dot or kind not in QUALIFIERS:
        raise _unknown(name)
    if not told and not (kind == "exception" and value):
        raise SearchError(_("Say what “%s:” is to be.") % kind)
    if kind == "state":
        found["states"] = tuple(dict.fromkeys((*found.get("states", ()), *_states(told))))
    elif kind == "retried":
        if told.lower() not in _YES_OR_NO:
            raise SearchError(_("“retried:” is yes or no, not “%s”.") % told)
        _once(found, "retried", "retried", _YES_OR_NO[told.lower()])
    elif kind == "root":
        _once(found, "root", "root", _root(told))
    else:
        if kind in ("since", "until"):
            _moment(kind, told, datetime.now(UTC))
        elif kind == "id":
            _key(told)
        _once(found, kind, kind, told)


def _once(found: dict[str, Any], field: str, name: str, value: Any) -> None:
    if found.setdefault(field, value) != value:
        raise SearchError(_("“%s” is said twice: no task is both.") % name)


def _hint(wrong: str, right: Sequence[str]) -> str:
    """What was meant, if something is close to what was said."""
    close = get_close_matches(wrong, right, n=1, cutoff=0.6)
    return " " + _("Did you mean “%s”?") % close[0] if close else ""


def _unknown(name: str) -> SearchError:
    hint = _hint(name.lower(), QUALIFIERS)
    told = _("There is no “%(name)s:”.%(hint)s There are: %(all)s.")
    return SearchError(told % {"name": name, "hint": hint, "all": ", ".join(QUALIFIERS)})


def _states(value: str) -> list[str]:
    states = []
    for name in filter(None, value.upper().split(",")):
        state = SYNONYMS.get(name, name)
        if state not in STATES:
            hint = _hint(state, STATES)
            told = _("There is no state “%(name)s”.%(hint)s There are: %(all)s.")
            raise SearchError(told % {"name": name, "hint": hint, "all": ", ".join(STATES)})
        states.append(state)
    if not states:
        raise SearchError(_("Say what “%s:” is to be.") % "state")
    return states


def _term(kind: str, key: str, value: str) -> Term:
    if kind == "kwargs":
        return Term(key, value)
    if not (key.isascii() and key.isdigit() and len(key) < 10):
        raise SearchError(_("“args.” needs a position, as in args.0:42, not “%s”.") % key)
    return Term(int(key), value)


def _root(value: str) -> UUID:
    if re.fullmatch(r"[0-9a-fA-F-]{1,35}", value) and len(value.replace("-", "")) < 32:
        raise SearchError(_("“root:” needs a whole id, not the beginning of one."))
    return _key(value)


def _key(value: str) -> UUID:
    try:
        return to_uuid(value)[0]
    except ValueError as error:
        raise SearchError(str(error)) from error


def _moment(name: str, value: str, now: datetime) -> datetime:
    """A time as it was typed; a date that is the end of a range has the whole day in it."""
    ago = _AGO.fullmatch(value.lower())
    try:
        if ago:
            return now - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
        day = parse_date(value)
        if day is not None:
            moment = datetime.combine(day, time()) + timedelta(days=name == "until")
        else:
            parsed = parse_datetime(value)
            if parsed is None:
                raise ValueError(value)
            moment = parsed
        return timezone.make_aware(moment) if timezone.is_naive(moment) else moment
    except (ValueError, OverflowError) as error:
        told = _(
            "“%(name)s:” is a time back from now, as 90s, 10m, 24h or 7d, or a date, "
            "not “%(value)s”."
        )
        raise SearchError(told % {"name": name, "value": value}) from error


def _is_beginning(word: str) -> bool:
    """Whether a bare word is the beginning of an id: digits of one, and not only letters."""
    digits = word.lower().replace("-", "")
    return bool(_BEGINNING.fullmatch(digits)) and not digits.isalpha()


def _can_be_stored(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
