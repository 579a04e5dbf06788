"""Any schedule from its JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from djtasks.exceptions import ScheduleError
from djtasks.schedules.base import Schedule
from djtasks.schedules.cron import crontab
from djtasks.schedules.interval import schedule
from djtasks.schedules.once import clocked
from djtasks.schedules.sun import solar

__all__ = ["from_json"]

_KINDS: Final[Mapping[str, type[Schedule]]] = {
    cls.kind: cls for cls in (crontab, schedule, clocked, solar)
}


def from_json(stored: object) -> Schedule:
    """The schedule that :meth:`Schedule.to_json` wrote.

    Raises:
        ScheduleError: it is no such thing; the text says which key is wrong and how.
    """
    if isinstance(stored, Mapping):
        kind = stored.get("type")
        if isinstance(kind, str) and kind in _KINDS:
            return _KINDS[kind].from_json(stored)
    raise ScheduleError(
        f"A stored schedule must be a JSON object whose 'type' is one of {', '.join(_KINDS)}, "
        f"not {stored!r}."
    )
