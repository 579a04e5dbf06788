"""Time zones: which one a schedule follows, and what happens to clocks that are changed.

A *wall* is a naive datetime, as a clock on the wall shows it. Where clocks are set forward some
walls do not exist (a gap), where they are set back some exist twice (a fold).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from django.utils import timezone

from djtasks.conf import conf
from djtasks.exceptions import ScheduleError

__all__ = ["first_moment", "name_of", "next_change", "project_zone", "wall_of", "zone_named"]

SECOND: Final = timedelta(seconds=1)


def project_zone() -> tzinfo:
    """The zone of schedules that have none: the setting ``TIMEZONE``, or else ``TIME_ZONE``.

    Not Django's current zone, which a request may have set to that of its user.
    """
    name = conf.TIMEZONE
    return timezone.get_default_timezone() if name is None else ZoneInfo(name)


def zone_named(name: str) -> tzinfo:
    """The zone of this name.

    Raises:
        ScheduleError: there is none.
    """
    try:
        return ZoneInfo(name)
    # What a file system says to odd names depends on the name.
    except (KeyError, ValueError, OSError):
        raise ScheduleError(
            f"timezone={name!r} is not the name of a time zone, such as 'Europe/Berlin'."
        ) from None


def name_of(zone: str | tzinfo | None) -> str | None:
    """The name of a zone, by which it can be stored. None stays None: the project's.

    Raises:
        ScheduleError: it has no name, or is no zone.
    """
    if zone is None:
        return None
    if isinstance(zone, str):
        zone_named(zone)
        return zone
    if isinstance(zone, ZoneInfo) and zone.key is not None:
        return zone.key
    if zone is UTC:
        return "UTC"
    raise ScheduleError(
        f"timezone={zone!r} cannot be stored by name: pass a name such as 'Europe/Berlin' or a "
        "zoneinfo.ZoneInfo."
    )


def wall_of(zone: tzinfo, moment: datetime) -> datetime:
    """What clocks in the zone show at an aware moment."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def first_moment(zone: tzinfo, wall: datetime) -> tuple[datetime, bool]:
    """When clocks in the zone first show this, in UTC, and whether they ever do.

    A wall in a gap has the end of the gap, the moment at which clocks are set forward.
    """
    moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if wall_of(zone, moment) == wall:
        return moment, True
    # With the offset of after the gap it lies before the change, with that of before at or after.
    earlier = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return next_change(zone, earlier, moment) or moment, False


def next_change(zone: tzinfo, start: datetime, end: datetime) -> datetime | None:
    """When clocks in the zone are changed, after ``start`` and not after ``end``.

    The two lie at most a day or so apart: two changes that undo each other are not seen.
    """
    start = start.replace(microsecond=0)  # clocks are changed at full seconds
    before = start.astimezone(zone).utcoffset()
    if end.astimezone(zone).utcoffset() == before:
        return None
    low, high = 0, -((start - end) // SECOND)  # unchanged after so many seconds; changed
    while high - low > 1:
        middle = (low + high) // 2
        if (start + middle * SECOND).astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return start + high * SECOND
