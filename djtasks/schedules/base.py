"""What all schedules have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from djtasks.exceptions import ScheduleError

__all__ = ["Schedule", "fields_of", "utc"]


class Schedule(ABC):
    """A rule that says when a periodic task runs.

    Schedules are values: they do not change, are equal if they tick alike for the same reason, can
    be keys, and remember no runs.
    """

    __slots__ = ()

    kind: ClassVar[str]
    """Its name in Python and in JSON."""

    def following(self, after: datetime, *, anchor: datetime | None = None) -> datetime | None:
        """The first tick strictly after a moment, in UTC, or None if none will come any more.

        Args:
            after: an aware datetime.
            anchor: when the schedule was first known, an aware datetime. Intervals are counted
                from it; without it, from ``after``. Other schedules ignore it.

        Raises:
            ScheduleError: a datetime without a time zone.
            ImproperlyConfigured: for the sun, if the package it needs is not installed.
        """
        start = utc("after", after)
        first_known = None if anchor is None else utc("anchor", anchor)
        try:
            return self._following(start, first_known)
        except OverflowError:  # beyond the year 9999
            return None

    @abstractmethod
    def _following(self, after: datetime, anchor: datetime | None) -> datetime | None:
        """The same with moments in UTC. An OverflowError is the end of the calendar."""

    @abstractmethod
    def describe(self) -> str:
        """The schedule in a few words, in the active language."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The schedule as a dict that JSON can hold and :func:`from_json` reads."""

    @classmethod
    @abstractmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The schedule that :meth:`to_json` wrote.

        Raises:
            ScheduleError: a key is missing or unknown, or a value is none that it can have.
        """

    @abstractmethod
    def _key(self) -> Hashable:
        """What makes two schedules of a class equal."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        return type(self) is type(other) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self.kind, self._key()))


def utc(name: str, moment: object) -> datetime:
    """An aware datetime in UTC.

    Raises:
        ScheduleError: it is none; ``name`` is the argument that is blamed.
    """
    if not isinstance(moment, datetime):
        raise ScheduleError(f"{name} must be an aware datetime, not {type(moment).__name__}.")
    if moment.utcoffset() is None:
        raise ScheduleError(
            f"{name}={moment!r} has no time zone: use django.utils.timezone.now() or make_aware()."
        )
    return moment.astimezone(UTC)


def fields_of(kind: str, stored: Mapping[str, Any], *names: str) -> list[Any]:
    """The values of a stored schedule, in the order of their names.

    Raises:
        ScheduleError: it is of another kind, a name is missing, or there are others.
    """
    if not isinstance(stored, Mapping):
        raise ScheduleError(f"A stored {kind} must be a JSON object, not {type(stored).__name__}.")
    if stored.get("type") != kind:
        raise ScheduleError(f"A stored {kind} must have 'type': {kind!r}, not {stored!r}.")
    missing = [name for name in names if name not in stored]
    if missing:
        raise ScheduleError(f"A stored {kind} lacks {', '.join(map(repr, missing))}.")
    unknown = [name for name in stored if name not in ("type", *names)]
    if unknown:
        raise ScheduleError(
            f"A stored {kind} has {', '.join(map(repr, unknown))}, which it does not know; "
            f"its fields are {', '.join(map(repr, names))}."
        )
    return [stored[name] for name in names]
