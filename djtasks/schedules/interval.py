"""Intervals: every so many seconds."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from datetime import datetime, time, timedelta, tzinfo
from typing import Any, Final, Self

from djtasks.exceptions import ScheduleError
from djtasks.schedules import words
from djtasks.schedules.base import Schedule, fields_of
from djtasks.schedules.zones import first_moment, project_zone, wall_of

__all__ = ["maybe_schedule", "schedule"]

DAY: Final = timedelta(days=1)
LONGEST: Final = 36525 * DAY
"""A hundred years: beyond some more, seconds as a float are no longer exact to the microsecond."""

_UNITS: Final = (timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1))


class schedule(Schedule):
    """Every so many seconds, counted from when the schedule was first known.

    Ticks are ``anchor + k * run_every``, k from 1: the first is one interval after the anchor, as
    in Celery. Seconds are real ones: a day's interval does not follow clocks that are changed.

    With ``relative=True`` ticks are on the clock, as Celery rounds them: at midnight for intervals
    of a day or more, at full hours from an hour on, at full minutes from a minute on, else at
    full seconds. What an interval has beyond whole days (hours, minutes, seconds) only delays the
    first tick: 90 minutes are then every hour, as in Celery. Days are those of the setting
    ``TIMEZONE``, or else Django's ``TIME_ZONE``; where their clocks are changed, days differ in
    length, and hours and minutes stay as long as they are.

    Args:
        run_every: seconds or a timedelta: more than 0, at most a hundred years.
        relative: whether ticks are rounded to the clock.

    Raises:
        ScheduleError: an argument is none of these.
    """

    __slots__ = ("relative", "run_every")

    kind = "schedule"

    run_every: Final[timedelta]
    relative: Final[bool]

    def __init__(self, run_every: float | timedelta, relative: bool = False) -> None:
        self.run_every = _interval(run_every)
        if not isinstance(relative, bool):
            raise ScheduleError(f"schedule(relative={relative!r}): it must be True or False.")
        self.relative = relative

    @property
    def seconds(self) -> float:
        """The interval in seconds."""
        return self.run_every.total_seconds()

    def _following(self, after: datetime, anchor: datetime | None) -> datetime | None:
        start = after if anchor is None else anchor
        if self.relative and self.run_every >= DAY:
            return self._midnight(project_zone(), after, start)
        if self.relative:
            for unit in _UNITS:
                if self.run_every >= unit:
                    return self._on_the_clock(project_zone(), unit, after, start)
        times = max((after - start) // self.run_every + 1, 1)
        return start + times * self.run_every

    def _midnight(self, zone: tzinfo, after: datetime, start: datetime) -> datetime:
        first = (wall_of(zone, start) + self.run_every).date()
        step = timedelta(days=self.run_every.days)
        times = max((wall_of(zone, after).date() - first) // step, 0)
        while True:
            midnight = datetime.combine(first + times * step, time.min)
            moment, _exists = first_moment(zone, midnight)
            if moment > after:
                return moment
            times += 1

    def _on_the_clock(
        self, zone: tzinfo, unit: timedelta, after: datetime, start: datetime
    ) -> datetime:
        begin = start + self.run_every
        begin -= _beyond(zone, unit, begin)
        step = self.run_every // unit * unit
        times = max((after - begin) // step, 0)
        while True:
            moment = begin + times * step
            # Clocks that were changed by half an hour since the anchor: on to the next full hour.
            moment += -_beyond(zone, unit, moment) % unit
            if moment > after:
                return moment
            times += 1

    def describe(self) -> str:
        """Such as "every 30 seconds"."""
        return words.of_interval(self.run_every, self.relative)

    def to_json(self) -> dict[str, Any]:
        """The interval in seconds, and whether it is relative."""
        seconds = self.seconds
        return {
            "type": self.kind,
            "run_every": int(seconds) if seconds.is_integer() else seconds,
            "relative": self.relative,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote; raises ScheduleError for anything else."""
        seconds, relative = fields_of(cls.kind, stored, "run_every", "relative")
        return cls(seconds, relative)

    def _key(self) -> Hashable:
        return self.run_every, self.relative

    def __repr__(self) -> str:
        relative = ", relative" if self.relative else ""
        return f"<schedule: every {self.seconds:.15g} s{relative}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.run_every, self.relative)


def maybe_schedule(s: object, relative: bool = False) -> Schedule:
    """The schedule that an entry of ``BEAT_SCHEDULE`` names: seconds, a timedelta, or itself.

    ``relative`` is for intervals only, as in Celery.

    Raises:
        ScheduleError: it is none of these.
    """
    if isinstance(s, Schedule):
        return s
    if isinstance(s, (int, float, timedelta)):
        return schedule(s, relative)
    hint = ""
    if type(s).__module__.startswith(("celery.", "django_celery_beat.")):
        hint = f": import {type(s).__name__} from djtasks.schedules"
    raise ScheduleError(
        "A schedule must be a number of seconds, a timedelta, crontab(), schedule(), clocked() or "
        f"solar(), not {type(s).__module__}.{type(s).__qualname__}{hint}."
    )


def _beyond(zone: tzinfo, unit: timedelta, moment: datetime) -> timedelta:
    """How far clocks in the zone are beyond a full unit."""
    wall = wall_of(zone, moment)
    return (wall - datetime.combine(wall, time.min)) % unit


def _interval(given: object) -> timedelta:
    if isinstance(given, bool) or not isinstance(given, (int, float, timedelta)):
        raise ScheduleError(
            f"schedule(run_every={given!r}): it must be a number of seconds or a timedelta."
        )
    if not isinstance(given, timedelta):
        if not math.isfinite(given) or given > LONGEST.total_seconds():
            raise ScheduleError(
                f"schedule(run_every={given!r}): it is in seconds, at most a hundred years."
            )
        given = timedelta(seconds=max(given, -1))
    if given <= timedelta(0):
        raise ScheduleError(
            f"schedule(run_every={given!r}): it must be longer than 0, at least a microsecond."
        )
    if given > LONGEST:
        raise ScheduleError(f"schedule(run_every={given!r}): it must be at most a hundred years.")
    return given
