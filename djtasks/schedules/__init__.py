"""When periodic tasks run: crontabs, intervals, single moments and the sun.

Values without database or clock: :meth:`Schedule.following` is given a moment and says when the
next tick is. Names and meanings are Celery's (``celery.schedules``); where they differ, the
docstrings say how and why.
"""

from __future__ import annotations

from djtasks.exceptions import ScheduleError
from djtasks.schedules.base import Schedule
from djtasks.schedules.cron import crontab
from djtasks.schedules.interval import maybe_schedule, schedule
from djtasks.schedules.once import clocked
from djtasks.schedules.stored import from_json
from djtasks.schedules.sun import solar

__all__ = [
    "Schedule",
    "ScheduleError",
    "clocked",
    "crontab",
    "from_json",
    "maybe_schedule",
    "schedule",
    "solar",
]
