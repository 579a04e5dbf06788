"""Crontabs: Celery's class, with a rule for the days on which clocks are changed."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from copy import copy
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any, Final, Self

from cronsim import CronSim

from djtasks.exceptions import ScheduleError
from djtasks.schedules import words
from djtasks.schedules.base import Schedule, fields_of
from djtasks.schedules.fields import (
    DAY_OF_MONTH,
    DAY_OF_WEEK,
    FIELDS,
    HOUR,
    MINUTE,
    MONTH,
    Cronspec,
)
from djtasks.schedules.zones import (
    SECOND,
    first_moment,
    name_of,
    next_change,
    project_zone,
    wall_of,
    zone_named,
)

__all__ = ["crontab"]

DAY: Final = timedelta(days=1)

# A leap year's: the 29 February does come.
_LENGTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_ANY: Final = datetime.combine(date(2000, 1, 1), time.min)

_NAMES: Final = tuple(field.name for field in FIELDS)


class crontab(Schedule):
    """A schedule of minutes, hours and days, as Celery's ``crontab``.

    A tick is a minute of which all five fields are true: ``day_of_month=13, day_of_week="fri"`` is
    Friday the 13th, where cron would run on every Friday and on every 13th.

    On days on which clocks are changed:

    - A crontab for particular hours runs as often as on other days. A time that the clock skips
      runs at once after the gap; several that are skipped in the same gap run once. A time that
      the clock shows twice runs at the first.
    - A crontab for every hour (any value that means all 24) runs whenever the clock shows its
      minutes: nothing is made up in a gap, and the hour that comes twice has its runs twice.

    Celery runs what a gap skipped late by the length of the gap (02:30 at 03:30); and of an hour
    that comes twice it leaves out the second for ``hour="*"`` too, which is no run for two hours.

    Args:
        minute: 0 to 59.
        hour: 0 to 23.
        day_of_week: 0 to 6, Sunday is 0 (7 is an error, as in Celery), or names: ``"mon-fri"``.
        day_of_month: 1 to 31.
        month_of_year: 1 to 12, or names: ``"jan,jul"``.
        timezone: whose clock it is, by name or as a :class:`zoneinfo.ZoneInfo`; without it that of
            the setting ``TIMEZONE``, or else Django's ``TIME_ZONE``.

    Each field is ``"*"``, a number, an iterable of numbers, or a text such as ``"1,5-9,*/20"``.
    Ranges may wrap: ``hour="22-2"``.

    Raises:
        ScheduleError: a field or the zone means nothing, or the days never come (31 February).
    """

    __slots__ = ("_cron", "_line", "_texts", "day_of_month", "day_of_week", "hour", "minute",
                 "month_of_year", "timezone")  # fmt: skip

    kind = "crontab"

    minute: Final[frozenset[int]]
    hour: Final[frozenset[int]]
    day_of_week: Final[frozenset[int]]
    day_of_month: Final[frozenset[int]]
    month_of_year: Final[frozenset[int]]
    timezone: Final[str | None]

    def __init__(
        self,
        minute: Cronspec = "*",
        hour: Cronspec = "*",
        day_of_week: Cronspec = "*",
        day_of_month: Cronspec = "*",
        month_of_year: Cronspec = "*",
        *,
        timezone: str | tzinfo | None = None,
    ) -> None:
        minute_text, self.minute = MINUTE.read(minute)
        hour_text, self.hour = HOUR.read(hour)
        weekday_text, self.day_of_week = DAY_OF_WEEK.read(day_of_week)
        day_text, self.day_of_month = DAY_OF_MONTH.read(day_of_month)
        month_text, self.month_of_year = MONTH.read(month_of_year)
        self.timezone = name_of(timezone)
        self._texts = (minute_text, hour_text, weekday_text, day_text, month_text)
        if min(self.day_of_month) > max(_LENGTHS[month - 1] for month in self.month_of_year):
            raise ScheduleError(
                f"crontab(day_of_month={day_text!r}, month_of_year={month_text!r}): there is no "
                "such day, so that it would never run."
            )
        self._line = " ".join(
            "*" if numbers == field.every else ",".join(map(str, sorted(numbers)))
            for field, numbers in (
                (MINUTE, self.minute),
                (HOUR, self.hour),
                (DAY_OF_MONTH, self.day_of_month),
                (MONTH, self.month_of_year),
                (DAY_OF_WEEK, self.day_of_week),
            )
        )
        self._cron = CronSim(self._line, _ANY)
        self._cron.day_and = True  # cron's rule would be "or" if neither field of days is a star

    @classmethod
    def from_string(cls, crontab: str, *, timezone: str | tzinfo | None = None) -> Self:
        """A crontab from a line of cron: minute, hour, day of month, month, day of week.

        Raises:
            ScheduleError: as the class does, or there are not five fields.
        """
        parts = str(crontab).split()
        if len(parts) != 5:
            raise ScheduleError(
                f"crontab.from_string({crontab!r}): give a text of five fields, minute, hour, day "
                "of month, month and day of week, such as '30 4 * * mon'."
            )
        minute, hour, day_of_month, month_of_year, day_of_week = parts
        return cls(minute, hour, day_of_week, day_of_month, month_of_year, timezone=timezone)

    def _following(self, after: datetime, anchor: datetime | None) -> datetime | None:
        zone = project_zone() if self.timezone is None else zone_named(self.timezone)
        if self.hour == HOUR.every:
            return self._shown(zone, after)
        for wall in self._walls(wall_of(zone, after)):
            # Of an hour that comes twice the first is meant: it may be over.
            moment, _exists = first_moment(zone, wall)
            if moment > after:
                return moment
        return None  # not reached: every day comes again within 40 years

    def _shown(self, zone: tzinfo, after: datetime) -> datetime:
        """The next moment at which clocks in the zone show what matches."""
        at, wall = after, wall_of(zone, after)
        while True:
            found = next(self._walls(wall))
            change = next_change(zone, at, at + DAY)
            moment = at + (found - wall_of(zone, at))  # as long as clocks are not changed
            if moment < (change or at + DAY):
                return moment
            if change is not None:
                at = change
                wall = wall_of(zone, at) - SECOND  # what the change itself shows counts
                continue
            # A change later than in a day repeats nothing of before now.
            moment, exists = first_moment(zone, found)
            if exists:
                return moment
            wall = found

    def _walls(self, wall: datetime) -> Iterator[datetime]:
        """All naive times that match, in order, from the first after the whole second of one.

        Naive, as cronsim's own rule for changed clocks depends on how fields are spelled, and
        forgets which of two equal hours it is in.
        """
        found = copy(self._cron)  # parsing takes longer than looking
        found.dt = wall.replace(microsecond=0)
        return found

    def describe(self) -> str:
        """Such as "at 04:30, every Monday"; the five fields where words would not be short."""
        return words.of_crontab(self)

    @property
    def fields(self) -> str:
        """The five fields as they were given, in the order of cron's lines."""
        minute, hour, day_of_week, day_of_month, month_of_year = self._texts
        return f"{minute} {hour} {day_of_month} {month_of_year} {day_of_week}"

    def to_json(self) -> dict[str, Any]:
        """Its fields as texts, as they were given, and the name of its zone or None."""
        return {
            "type": self.kind,
            **dict(zip(_NAMES, self._texts, strict=True)),
            "timezone": self.timezone,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote; raises ScheduleError for anything else."""
        *texts, zone = fields_of(cls.kind, stored, *_NAMES, "timezone")
        for name, text in zip(_NAMES, texts, strict=True):
            if not isinstance(text, str):
                raise ScheduleError(f"A stored crontab's {name} must be a text, not {text!r}.")
        if not isinstance(zone, (str, type(None))):
            raise ScheduleError(
                f"A stored crontab's timezone must be a text or null, not {zone!r}."
            )
        return cls(*texts, timezone=zone)

    def _key(self) -> Hashable:
        return self._line, self.timezone

    def __repr__(self) -> str:
        zone = "" if self.timezone is None else f" {self.timezone}"
        return f"<crontab: {self.fields} (m/h/dM/MY/d){zone}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_json, (self.to_json(),)
