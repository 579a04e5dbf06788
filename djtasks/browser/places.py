"""Places in the list of all tasks: the order that it is in, and cursors that people's URLs have."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from django.utils.translation import gettext as _

from djtasks.browser.filter import SearchError

__all__ = ["Ids", "Place", "moment", "of_cursor", "to_cursor"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
OLDEST: Final = 1_577_836_800_000
"""Milliseconds: the beginning of 2020, before which no id of ours was made."""
DAY: Final = 86_400_000
_CURSOR: Final = re.compile(r"([0-9a-f]{1,14})-([0-9a-f]{32})")


class Place(NamedTuple):
    """Where a task is in the list: a time in microseconds since 1970, then its id."""

    at: int
    id: UUID


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids that tell when they were made: those between two times, which ours are.

    Others may be anything, such as those of version 4 or of callers' own texts. A message whose id
    tells the time takes its place by that, so that the list is in the order of the primary key.
    """

    low: UUID
    high: UUID

    @classmethod
    def until(cls, milliseconds: int) -> Ids:
        """Those from 2020 to this time."""
        return cls(beginning(OLDEST), UUID(int=beginning(milliseconds).int - 1))

    @classmethod
    def known(cls) -> Ids:
        """Those up to a day from now, for clocks differ."""
        return cls.until(time.time_ns() // 1_000_000 + DAY)

    def place(self, id: UUID, enqueued: int) -> Place:
        """The place of a message that was enqueued at this time (in microseconds)."""
        tells = self.low <= id <= self.high
        return Place((id.int >> 80) * 1000 if tells else enqueued, id)

    def bound(self, place: Place, *, back: bool) -> UUID:
        """An id such that ids below it are those at places before, or with ``back`` ids above."""
        milliseconds, rest = divmod(place.at, 1000)
        first = beginning(milliseconds).int
        following = first + (1 << 80)
        if rest:
            return UUID(int=following - 1 if back else following)
        if back:
            return UUID(int=min(max(place.id.int, first - 1), following - 1))
        return UUID(int=min(max(place.id.int, first), following))


def beginning(milliseconds: int) -> UUID:
    """The smallest id that was made at this time."""
    return UUID(int=min(max(milliseconds, 0), (1 << 48) - 1) << 80)


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(at: int) -> datetime:
    """The time of a place."""
    return EPOCH + timedelta(microseconds=at)


def to_cursor(place: Place) -> str:
    """A place as text."""
    return f"{max(place.at, 0):x}-{place.id.hex}"


def of_cursor(text: str) -> Place:
    """The place that a text is; raises :class:`SearchError` for one that is none."""
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise SearchError(_("This page of the list does not exist."))
    return Place(int(found[1], 16), UUID(found[2]))
