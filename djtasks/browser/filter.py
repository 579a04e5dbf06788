"""What a list of tasks is to show: a filter, and the text of the search box that says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

__all__ = ["QUALIFIERS", "STATES", "Filter", "SearchError", "Term"]

STATES: Final = (
    "READY",
    "SCHEDULED",
    "WAITING",
    "RUNNING",
    "RETRY",
    "SUCCESS",
    "FAILURE",
    "REVOKED",
    "REJECTED",
)
"""States that exist without a task's own; ``state:`` takes these and any other in capitals."""

QUALIFIERS: Final = (
    "state",
    "queue",
    "task",
    "worker",
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


class SearchError(ValueError):
    """The text of a search says something that cannot be searched for; the message says what can."""


@dataclass(frozen=True, slots=True)
class Term:
    """An argument that a call has: ``key`` is a position or a name, ``value`` its text."""

    key: int | str
    value: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that all hold; an empty one lets every task through.

    ``task`` and ``exception`` are a full name, or its last part; with ``=`` in front only the full
    name. ``worker``, ``error`` and ``text`` are parts of a text, in any case. ``error`` looks at
    the exception's class and its message, ``text`` at the task's name. ``since`` and ``until`` are
    as they were typed: ``90s``, ``10m``, ``24h``, ``7d`` ago, or a date or time in ISO 8601.
    """

    states: tuple[str, ...] = ()
    queue: str | None = None
    task: str | None = None
    worker: str | None = None
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
        raise NotImplementedError

    def to_query(self) -> str:
        """The text that :meth:`parse` makes this filter of."""
        raise NotImplementedError

    def bounds(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """The times from which and before which tasks are looked for."""
        raise NotImplementedError

    def __bool__(self) -> bool:
        """Whether it has a condition."""
        raise NotImplementedError
