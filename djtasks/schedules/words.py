"""Schedules in words, in the active language.

A sentence is a time and conditions with commas between them, each translated by itself, so that
no language needs more forms than these. What would not be short is left as its fields.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.utils import formats, timezone
from django.utils.dates import MONTHS, WEEKDAYS
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from djtasks.schedules.fields import DAY_OF_MONTH, DAY_OF_WEEK, HOUR, MINUTE, MONTH

if TYPE_CHECKING:
    from djtasks.schedules.cron import crontab

__all__ = ["EVENT_NAMES", "of_crontab", "of_interval", "of_moment", "of_sun"]

MANY_TIMES: Final = 6
"""More times a day than this are not listed."""

EVENT_NAMES: Final = {
    "dawn_astronomical": gettext_lazy("astronomical dawn"),
    "dawn_nautical": gettext_lazy("nautical dawn"),
    "dawn_civil": gettext_lazy("civil dawn"),
    "sunrise": gettext_lazy("sunrise"),
    "solar_noon": gettext_lazy("solar noon"),
    "sunset": gettext_lazy("sunset"),
    "dusk_civil": gettext_lazy("civil dusk"),
    "dusk_nautical": gettext_lazy("nautical dusk"),
    "dusk_astronomical": gettext_lazy("astronomical dusk"),
}


def of_interval(every: timedelta, relative: bool) -> str:
    """An interval: ``every 30 seconds``."""
    text = _every(every)
    return _("%s, by the clock") % text if relative else text


def _every(every: timedelta) -> str:
    # In the largest unit that leaves no rest.
    seconds, rest = divmod(every, timedelta(seconds=1))
    if rest:
        return _("every %s seconds") % formats.number_format(
            f"{every.total_seconds():.6f}".rstrip("0")
        )
    if seconds % 60:
        return _("every second") if seconds == 1 else _seconds(seconds)
    if seconds % 3600:
        return minutes(seconds // 60)
    if seconds % 86400:
        hours = seconds // 3600
        if hours == 1:
            return _("every hour")
        return ngettext("every %d hour", "every %d hours", hours) % hours
    days = seconds // 86400
    if days == 1:
        return _("every day")
    return ngettext("every %d day", "every %d days", days) % days


def _seconds(number: int) -> str:
    return ngettext("every %d second", "every %d seconds", number) % number


def minutes(number: int) -> str:
    """An interval of whole minutes."""
    if number == 1:
        return _("every minute")
    return ngettext("every %d minute", "every %d minutes", number) % number


def of_moment(moment: datetime) -> str:
    """A single moment, in the user's zone and format."""
    local = timezone.localtime(moment)
    date = formats.date_format(local, "SHORT_DATE_FORMAT")
    return _("once, on %s") % f"{date} {local:%H:%M:%S} {local.tzname()}"


def of_sun(event: str, lat: float, lon: float) -> str:
    """An event of the sun and where."""
    return _("%(event)s at %(place)s") % {
        "event": EVENT_NAMES[event],
        "place": f"{lat:.10g}°, {lon:.10g}°",
    }


def of_crontab(cron: crontab) -> str:
    """A crontab: ``at 04:30, every Monday (Europe/Berlin)``, or its fields as they are."""
    zone = "" if cron.timezone is None else f" ({cron.timezone})"
    time = _time(cron)
    if time is None:
        return f"{cron.fields} (m/h/dM/MY/d){zone}"
    parts = [time]
    if cron.day_of_month != DAY_OF_MONTH.every:
        parts.append(_("on day %s of the month") % _listed(cron.day_of_month))
        if cron.day_of_week != DAY_OF_WEEK.every:
            parts.append(_("only if it is %s") % _weekdays(cron.day_of_week))
    elif cron.day_of_week != DAY_OF_WEEK.every:
        parts.append(_("every %s") % _weekdays(cron.day_of_week))
    elif cron.hour != HOUR.every:
        parts.append(_("every day"))
    if cron.month_of_year != MONTH.every:
        months = ", ".join(str(MONTHS[month]) for month in sorted(cron.month_of_year))
        parts.append(_("only in: %s") % months)
    return ", ".join(parts) + zone


def _time(cron: crontab) -> str | None:
    """When on a day it runs, or None if that takes too many words."""
    if cron.hour != HOUR.every:
        if len(cron.hour) * len(cron.minute) > MANY_TIMES:
            return None
        times = [f"{h:02}:{m:02}" for h in sorted(cron.hour) for m in sorted(cron.minute)]
        return _("at %s") % ", ".join(times)
    step = _step(cron.minute)
    if step is not None:
        return minutes(step)
    if cron.minute == {0}:
        return _("every hour")
    if len(cron.minute) > MANY_TIMES:
        return None
    return _("every hour at minute %s") % _listed(cron.minute)


def _step(numbers: frozenset[int]) -> int | None:
    """How many minutes lie between all that are given, over the full hour too."""
    step = len(MINUTE.every) // len(numbers)
    return step if step < 60 and numbers == set(range(0, 60, step)) and 60 % step == 0 else None


def _weekdays(numbers: frozenset[int]) -> str:
    """Days by name, from Monday on; three or more in a row are a range."""
    days = sorted((number - 1) % 7 for number in numbers)  # Django's Monday is 0
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        return _("%(first)s to %(last)s") % {
            "first": WEEKDAYS[days[0]],
            "last": WEEKDAYS[days[-1]],
        }
    return ", ".join(str(WEEKDAYS[day]) for day in days)


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
