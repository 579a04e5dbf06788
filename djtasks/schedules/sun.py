"""The sun: dawn, sunrise, noon, sunset and dusk at a place."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, NamedTuple, Self

from djtasks.exceptions import ImproperlyConfigured, ScheduleError
from djtasks.schedules import words
from djtasks.schedules.base import Schedule, fields_of

__all__ = ["EVENTS", "solar"]

DAY: Final = timedelta(days=1)

SEARCHED: Final = 366
"""Days in which an event must happen that does not happen every day, as in Celery."""


class _Event(NamedTuple):
    """How ephem finds it: its method, the height of the sun in degrees, and of which point."""

    method: str
    horizon: str
    center: bool


EVENTS: Final[Mapping[str, _Event]] = {
    "dawn_astronomical": _Event("next_rising", "-18", True),
    "dawn_nautical": _Event("next_rising", "-12", True),
    "dawn_civil": _Event("next_rising", "-6", True),
    "sunrise": _Event("next_rising", "-0:34", False),
    "solar_noon": _Event("next_transit", "0", False),
    "sunset": _Event("next_setting", "-0:34", False),
    "dusk_civil": _Event("next_setting", "-6", True),
    "dusk_nautical": _Event("next_setting", "-12", True),
    "dusk_astronomical": _Event("next_setting", "-18", True),
}


class solar(Schedule):
    """At an event of the sun, as Celery's ``solar``, computed by the same package, ``ephem``.

    Times are to the second. Where an event does not happen every day (no sunrise in the polar
    night) the next one is taken; :meth:`following` is None if there is none within 366 days.
    ``ephem`` is imported by :meth:`following`, which raises ImproperlyConfigured without it.

    Args:
        event: dawn_astronomical, dawn_nautical, dawn_civil, sunrise, solar_noon, sunset,
            dusk_civil, dusk_nautical or dusk_astronomical.
        lat: the latitude in degrees, south is negative.
        lon: the longitude in degrees, west is negative.

    Raises:
        ScheduleError: there is no such event or place.
    """

    __slots__ = ("event", "lat", "lon")

    kind = "solar"

    event: Final[str]
    lat: Final[float]
    lon: Final[float]

    def __init__(self, event: str, lat: float, lon: float) -> None:
        self.event = _known(event)
        self.lat = _degrees("lat", lat, 90)
        self.lon = _degrees("lon", lon, 180)

    def _following(self, after: datetime, anchor: datetime | None) -> datetime | None:
        # Always from the beginning of a day: what ephem finds depends on where it starts, by
        # fractions of a second, and a tick must be found at the same time whoever asks.
        day = datetime.combine(after.date(), time.min, UTC)
        for _ in range(SEARCHED + 1):
            for moment in self._of_day(day):
                if moment > after:
                    return moment
            day += DAY
        return None

    def _of_day(self, day: datetime) -> Iterator[datetime]:
        """The event on a day of UTC: once as a rule, but it may happen twice or not at all."""
        ephem = _ephem()
        method, horizon, center = EVENTS[self.event]
        place = ephem.Observer()
        place.lat, place.lon, place.elev = str(self.lat), str(self.lon), 0
        place.horizon, place.pressure = horizon, 0
        options = {"use_center": True} if center else {}
        start = day
        while True:
            try:
                found = getattr(place, method)(ephem.Sun(), start=ephem.Date(start), **options)
            except ephem.CircumpolarError:
                return
            moment = found.datetime().replace(microsecond=0, tzinfo=UTC)
            if moment >= day + DAY:
                return
            if moment >= day:
                yield moment
            start = max(moment, start) + timedelta(minutes=1)

    def describe(self) -> str:
        """Such as "sunrise at 52.52°, 13.4°"."""
        return words.of_sun(self.event, self.lat, self.lon)

    def to_json(self) -> dict[str, Any]:
        """The event and the place in degrees."""
        return {"type": self.kind, "event": self.event, "lat": self.lat, "lon": self.lon}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote; raises ScheduleError for anything else."""
        return cls(*fields_of(cls.kind, stored, "event", "lat", "lon"))

    def _key(self) -> Hashable:
        return self.event, self.lat, self.lon

    def __repr__(self) -> str:
        return f"<solar: {self.event} at latitude {self.lat}, longitude {self.lon}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.event, self.lat, self.lon)


def _known(event: object) -> str:
    if isinstance(event, str) and event in EVENTS:
        return event
    raise ScheduleError(f"solar(event={event!r}): it must be one of {', '.join(EVENTS)}.")


def _degrees(name: str, given: object, limit: int) -> float:
    if (
        isinstance(given, bool)
        or not isinstance(given, (int, float))
        or not math.isfinite(given)
        or abs(given) > limit
    ):
        raise ScheduleError(
            f"solar({name}={given!r}): it must be a number of degrees from -{limit} to {limit}."
        )
    return float(given)


def _ephem() -> Any:
    try:
        import ephem
    except ImportError:
        raise ImproperlyConfigured(
            "solar schedules need the package ephem, which is not installed: "
            "pip install 'djtasks[solar]'"
        ) from None
    return ephem
