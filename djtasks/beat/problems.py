"""What is wrong with a schedule: said in words, before it is to run or when it could not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from djtasks.codec.types import TAG
from djtasks.exceptions import ScheduleError
from djtasks.registry import registry
from djtasks.schedules import from_json

if TYPE_CHECKING:
    from djtasks.models import PeriodicTask

__all__ = [
    "CannotSendError",
    "UnknownTaskError",
    "check_call",
    "check_mapping",
    "check_row",
    "known_tasks",
    "unknown_task",
]


class CannotSendError(Exception):
    """A schedule cannot be sent; the message is for people."""


class UnknownTaskError(CannotSendError):
    """Its task is not registered in this process."""


def known_tasks() -> list[str]:
    """The names of the tasks that can be chosen, without those of the package itself."""
    return sorted(name for name in registry if not name.startswith("djtasks."))


def unknown_task(name: str) -> str:
    """That there is no such task, and which one may be meant."""
    close = get_close_matches(name, known_tasks(), n=1, cutoff=0.7)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"There is no task {name!r} here.{hint}"


def check_call(name: str, args: Any, kwargs: Any) -> None:
    """Raise :class:`CannotSendError` unless a task can be called so.

    ``args`` and ``kwargs`` are in the form in which they are stored; their values are not decoded.
    """
    if not isinstance(args, list):
        raise CannotSendError(f"args must be a JSON list, not {_shown(args)}.")
    if not isinstance(kwargs, dict):
        raise CannotSendError(f"kwargs must be a JSON object, not {_shown(kwargs)}.")
    task = registry.get(name)
    if task is None:
        raise UnknownTaskError(unknown_task(name))
    try:
        task._check_call(args, dict(kwargs["v"]) if TAG in kwargs else kwargs)
    except (KeyError, TypeError, ValueError) as error:
        raise CannotSendError(f"{name} cannot be called like that: {error}.") from error


def check_mapping(name: str, given: Any) -> None:
    """Raise :class:`CannotSendError` unless it is a mapping; ``name`` is the column's."""
    if not isinstance(given, Mapping):
        raise CannotSendError(f"{name} must be a JSON object, not {_shown(given)}.")


def check_row(row: PeriodicTask) -> None:
    """Raise :class:`CannotSendError` unless a row can be sent, as far as that can be told."""
    try:
        from_json(row.schedule)
    except ScheduleError as error:
        raise CannotSendError(str(error)) from error
    for name in ("headers", "options"):
        check_mapping(name, getattr(row, name))
    check_call(row.task, row.args, row.kwargs)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=repr)[:100]
