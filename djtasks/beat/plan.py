"""When a periodic task is sent: a pure function of its row and the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from djtasks.schedules import Schedule, crontab, schedule

__all__ = ["Rule", "Step"]

RESOLUTION: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done now.

    ``tick`` is the one to send, the first of those that have come and were not sent; None to send
    nothing. ``next`` is when to look again; None if nothing will ever come.
    """

    tick: datetime | None
    next: datetime | None


@dataclass(frozen=True, slots=True)
class Rule:
    """What of a periodic task decides when it runs. All moments are aware.

    ``since`` is when the schedule was made, changed or enabled: earlier ticks do not count.
    """

    schedule: Schedule
    since: datetime
    start: datetime | None = None
    end: datetime | None = None
    one_off: bool = False

    def after(self, moment: datetime) -> datetime | None:
        """The first tick strictly after a moment, from the start to the end, both included.

        Raises ImproperlyConfigured if the schedule needs a package that is not installed.
        """
        moment = max(moment, self.since)
        if self.start is not None and moment < self.start:
            moment = self.start - RESOLUTION
        tick = self.schedule.following(moment, anchor=self._anchor)
        if tick is None or (self.end is not None and tick > self.end):
            return None
        return tick

    @property
    def _anchor(self) -> datetime:
        """What intervals count from: with a start their first tick is the start."""
        each = self.schedule
        if self.start is not None and isinstance(each, schedule) and not each.relative:
            return self.start - each.run_every
        return self.since

    def step(self, due: datetime | None, now: datetime, deadline: float | None = None) -> Step:
        """What is to be done at a time.

        However many ticks have come since ``due``, they are one run: the next one is after
        ``now``. A crontab none of whose missed ticks is within ``deadline`` seconds is not run, as
        with Celery's ``beat_cron_starting_deadline``.

        Args:
            due: the tick that is planned; None if none is yet.
            now: the time, by the clock that ``due`` will be compared with.
            deadline: in seconds, or None.
        """
        if due is None:
            due = self.after(self.since)
        elif self.end is not None and due > self.end:
            due = None  # the end was moved
        if due is None or due > now:
            return Step(None, due)
        if self._is_too_late(due, now, deadline):
            return Step(None, self.after(now))
        return Step(due, None if self.one_off else self.after(now))

    def _is_too_late(self, due: datetime, now: datetime, deadline: float | None) -> bool:
        if deadline is None or not isinstance(self.schedule, crontab):
            return False
        earliest = now - timedelta(seconds=deadline)
        if due >= earliest:
            return False
        latest = self.after(earliest - RESOLUTION)
        return latest is None or latest > now

    def upcoming(self, due: datetime | None, count: int) -> list[datetime]:
        """The next ticks, the planned one first; ``due`` as in :meth:`step`."""
        found: list[datetime] = []
        tick = self.after(self.since) if due is None else due
        while tick is not None and len(found) < count:
            if self.end is not None and tick > self.end:
                break
            found.append(tick)
            tick = None if self.one_off else self.after(tick)
        return found
