"""Times of a call: countdown, eta and expires, as aware datetimes."""

from __future__ import annotations

import math
import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from djtasks.conf import conf


def now() -> datetime:
    """The time in UTC, aware whatever ``USE_TZ`` says."""
    return datetime.now(UTC)


def aware(moment: datetime) -> datetime:
    """The moment with a time zone.

    A naive one is taken to be in the time zone of the setting ``TIMEZONE``, or else in Django's
    current one.
    """
    if moment.tzinfo is not None and moment.utcoffset() is not None:
        return moment
    zone = conf.TIMEZONE
    return timezone.make_aware(moment, zoneinfo.ZoneInfo(zone) if isinstance(zone, str) else zone)


def eta_of(where: str, eta: datetime | str | None, countdown: Any) -> datetime | None:
    """When a call may run at the earliest, or None for now.

    ``countdown`` (seconds or a timedelta) wins over ``eta``, as in Celery; 0 and None are now.
    ``where`` names the task in errors: :class:`TypeError` for another type, :class:`ValueError`
    for a time out of range.
    """
    if countdown:
        return _after(where, "countdown", countdown)
    if not eta:
        return None
    return _moment(where, "eta", eta)


def expiry_of(where: str, expires: Any) -> datetime | None:
    """When a call expires: after so many seconds, after a timedelta, or at a moment.

    Raises as :func:`eta_of` does. A time that has passed is kept: the task ends as expired.
    """
    if expires is None:
        return None
    if isinstance(expires, (datetime, str)):
        return _moment(where, "expires", expires)
    return _after(where, "expires", expires)


def seconds_of(where: str, name: str, value: Any) -> float:
    """A duration in seconds, given as a number or a timedelta."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if math.isfinite(value):
            return value
        raise ValueError(f"{where}: {name} must be a finite number of seconds, not {value!r}.")
    raise TypeError(
        f"{where}: {name} must be a number of seconds or a timedelta, not {type(value).__name__}."
    )


def _after(where: str, name: str, duration: Any) -> datetime:
    seconds = seconds_of(where, name, duration)
    try:
        return now() + timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError(
            f"{where}: {name}={duration!r} lies outside of the calendar; it is in seconds."
        ) from None


def _moment(where: str, name: str, value: datetime | str) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(
                f"{where}: {name}={value!r} is not a date and time in ISO 8601 form."
            ) from None
    elif not isinstance(value, datetime):
        raise TypeError(
            f"{where}: {name} must be a datetime or its ISO 8601 text, not "
            f"{type(value).__name__}; for a number of seconds use countdown."
        )
    return aware(value)
