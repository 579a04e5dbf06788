"""Points in time and spans of it, in few characters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

__all__ = ["ago", "aware", "duration", "exact", "local", "rough", "since", "time_tag"]

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


def duration(seconds: float | None) -> str:
    """A span of time with the units that fit it: ``250 µs``, ``1.25 s``, ``3 min 4 s``.

    Nothing for ``None``.
    """
    if seconds is None:
        return ""
    if seconds < 0:
        seconds = 0.0
    if seconds < 0.000_999_5:
        return _("%s µs") % _rounded(seconds * 1e6, 0)
    if seconds < 0.999_5:
        return _("%s ms") % _rounded(seconds * 1e3, 1 if seconds < 0.09995 else 0)
    if seconds < 59.95:
        return _("%s s") % _rounded(seconds, 2 if seconds < 9.995 else 1)
    return _long(round(seconds))


def _rounded(value: float, places: int) -> str:
    return number_format(round(value, places), places)  # which by itself would cut, not round


def _long(seconds: int) -> str:
    minutes, second = divmod(seconds, MINUTE)
    if minutes < 60:
        return _("%(min)d min %(s)d s") % {"min": minutes, "s": second}
    hours, minute = divmod(minutes, 60)
    if hours < 24:
        return _("%(h)d h %(min)d min") % {"h": hours, "min": minute}
    days, hour = divmod(hours, 24)
    return _("%(d)d d %(h)d h") % {"d": days, "h": hour}


def rough(seconds: float) -> str:
    """A span of time with one unit, as one says it: ``3 min``."""
    if seconds < MINUTE:
        return _("%d s") % seconds
    if seconds < HOUR:
        return _("%d min") % (seconds // MINUTE)
    if seconds < 2 * DAY:
        return _("%d h") % (seconds // HOUR)
    return _("%d d") % (seconds // DAY)


def aware(moment: datetime) -> datetime:
    """A moment of the database with a time zone, which it lacks where ``USE_TZ`` is off."""
    if timezone.is_aware(moment):
        return moment
    return timezone.make_aware(moment, timezone.get_default_timezone())


def local(moment: datetime) -> datetime:
    """A moment in the user's time zone."""
    return timezone.localtime(aware(moment))


def since(moment: datetime, now: datetime | None = None) -> float:
    """Seconds from a moment until now, negative if it is to come."""
    return ((now or datetime.now(UTC)) - aware(moment)).total_seconds()


def ago(moment: datetime, now: datetime | None = None) -> str:
    """How far a moment is from now: ``3 min ago``, ``in 2 h``."""
    seconds = since(moment, now)
    if abs(seconds) < 1:
        return _("now")
    if seconds < 0:
        return _("in %s") % rough(-seconds)
    return _("%s ago") % rough(seconds)


def exact(moment: datetime) -> str:
    """A moment to the millisecond, in the user's time zone."""
    here = local(moment)
    return f"{here:%Y-%m-%d %H:%M:%S}.{here.microsecond // 1000:03} {here.tzname()}"


def time_tag(moment: datetime | None, text: str | None = None) -> SafeString | str:
    """A moment as an element: how long ago, and exactly when in its title."""
    if moment is None:
        return ""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        aware(moment).isoformat(),
        exact(moment),
        ago(moment) if text is None else text,
    )
