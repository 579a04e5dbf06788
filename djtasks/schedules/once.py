"""A single moment."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Self

from django.utils import timezone

from djtasks.exceptions import ScheduleError
from djtasks.schedules import words
from djtasks.schedules.base import Schedule, fields_of, utc
from djtasks.schedules.zones import project_zone

__all__ = ["clocked"]


class clocked(Schedule):
    """Once, at a moment, as django-celery-beat's ``clocked``. After it nothing follows.

    Args:
        moment: a datetime; a naive one is in the zone of the setting ``TIMEZONE``, or else of
            Django's ``TIME_ZONE``.

    Raises:
        ScheduleError: it is no datetime, or lies outside of the calendar.
    """

    __slots__ = ("moment",)

    kind = "clocked"

    moment: Final[datetime]
    """In UTC."""

    def __init__(self, moment: datetime) -> None:
        self.moment = _in_utc(moment)

    def _following(self, after: datetime, anchor: datetime | None) -> datetime | None:
        return self.moment if self.moment > after else None

    def describe(self) -> str:
        """Such as "once, on 2026-03-29 14:30", in the user's zone and format."""
        return words.of_moment(self.moment)

    def to_json(self) -> dict[str, Any]:
        """The moment in ISO 8601 form, in UTC."""
        return {"type": self.kind, "moment": self.moment.isoformat()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote; raises ScheduleError for anything else."""
        (text,) = fields_of(cls.kind, stored, "moment")
        try:
            moment = datetime.fromisoformat(text)
        except (TypeError, ValueError):
            raise ScheduleError(
                f"A stored clocked's moment must be a date and time in ISO 8601 form, not {text!r}."
            ) from None
        # Without its offset it would mean another moment in another project's settings.
        return cls(utc("A stored clocked's moment", moment))

    def _key(self) -> Hashable:
        return self.moment

    def __repr__(self) -> str:
        return f"<clocked: {self.moment.astimezone(UTC).isoformat()}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.moment,)


def _in_utc(moment: object) -> datetime:
    try:
        if isinstance(moment, datetime) and moment.utcoffset() is None:
            moment = timezone.make_aware(moment.replace(tzinfo=None), project_zone())
        return utc("clocked(moment)", moment)
    except OverflowError:
        raise ScheduleError(f"clocked({moment!r}): it lies outside of the calendar.") from None
