"""Schedules of the settings: entries of ``BEAT_SCHEDULE``, and those that code adds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from djtasks.canvas.signature import Signature
from djtasks.carried import plain_json, travelling
from djtasks.codec import encode_call
from djtasks.conf import conf
from djtasks.exceptions import ScheduleError
from djtasks.options import (
    CALL_OPTIONS,
    IGNORED_CALL_OPTIONS,
    is_priority,
    unknown_call_option,
    unknown_name,
)
from djtasks.routing import queue_name
from djtasks.schedules import Schedule, maybe_schedule
from djtasks.when import seconds_of

__all__ = ["KEYS", "Entry", "add", "entries", "entry_of"]

KEYS: Final = ("task", "schedule", "args", "kwargs", "options", "relative", "description")
"""What an entry may have, in Celery's words; the last is ours."""

_SENSELESS: Final = {
    "task_id": "every run needs an id of its own",
    "eta": "the schedule says when it runs; countdown= delays each run",
    "enqueue": "the message and the schedule are written in one transaction",
    "retries": "it belongs to one run",
    "root_id": "it belongs to one run",
    "parent_id": "it belongs to one run",
    "group_id": "it belongs to one run",
    "group_index": "it belongs to one run",
    "add_to_parent": "nobody calls it",
}
"""Options of a call that a schedule cannot have, and why."""

_COLUMNS: Final = frozenset({"queue", "priority", "expires", "headers"})

_added: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Entry:
    """A schedule of the settings as its row has it; what JSON has no types for is tagged."""

    name: str
    task: str
    schedule: Schedule
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    queue: str = ""
    priority: int | None = None
    expires: float | None = None
    headers: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    description: str = ""

    def columns(self) -> dict[str, Any]:
        """The values of the columns that it decides."""
        return {
            "task": self.task,
            "schedule": self.schedule.to_json(),
            "args": self.args,
            "kwargs": self.kwargs,
            "queue": self.queue,
            "priority": self.priority,
            "expires": self.expires,
            "headers": self.headers,
            "options": self.options,
            "description": self.description,
        }


def add(name: str, entry: dict[str, Any]) -> bool:
    """Add what code declares; False if it takes the place of one of that name.

    Raises ScheduleError for an entry that means nothing.
    """
    entry_of(name, entry)
    is_new = name not in _added
    _added[name] = entry
    return is_new


def entries() -> Iterator[tuple[str, Entry | ScheduleError]]:
    """All of them by name, those that code adds in place of the setting's; or what is wrong."""
    for name, given in {**conf.BEAT_SCHEDULE, **_added}.items():
        try:
            yield name, entry_of(name, given)
        except ScheduleError as error:
            yield str(name), error


def entry_of(name: Any, given: Any) -> Entry:
    """An entry as it is given in the settings.

    Whether its task exists and takes its arguments is another question.

    Raises ScheduleError that names the entry, says what is wrong and what to write.
    """
    if not isinstance(name, str) or not name or "\0" in name:
        raise ScheduleError(f"The name of a schedule must be a text, not {name!r}.")
    try:
        return _entry(name, given)
    except (ScheduleError, TypeError, ValueError, KeyError) as error:
        said = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise ScheduleError(f"Schedule {name!r}: {said}") from error


def _entry(name: str, given: Any) -> Entry:
    if not isinstance(given, Mapping):
        raise TypeError(f"it must be a dict with the keys task and schedule, not {given!r}.")
    for key in given:
        if key not in KEYS:
            close = get_close_matches(str(key), KEYS, n=1, cutoff=0.6)
            if not close and key in CALL_OPTIONS:
                hint = f"Write 'options': {{{key!r}: ...}}."
            else:
                hint = f"Did you mean {close[0]!r}?" if close else f"There are {', '.join(KEYS)}."
            raise ValueError(f"there is no key {key!r}. {hint}")
    for key in ("task", "schedule"):
        if given.get(key) is None:
            raise ValueError(f"it has no {key!r}.")
    # A task object has its name.
    task = getattr(given["task"], "name", given["task"])
    if not isinstance(task, str) or not task or "\0" in task:
        raise TypeError(f"task must be the name of a task, not {given['task']!r}.")
    args, kwargs = given.get("args") or (), given.get("kwargs") or {}
    if not isinstance(args, (list, tuple)):
        raise TypeError(f"args must be a list or tuple, not {args!r}. For one write (value,).")
    if not isinstance(kwargs, Mapping):
        raise TypeError(f"kwargs must be a dict, not {kwargs!r}.")
    stored_args, stored_kwargs = json.loads(encode_call(args, dict(kwargs), task=task))
    relative = given.get("relative", False)
    return Entry(
        name,
        task,
        maybe_schedule(given["schedule"], relative),
        stored_args,
        stored_kwargs,
        **_options(task, given.get("options") or {}),
        description=str(given.get("description") or ""),
    )


def _options(task: str, given: Any) -> dict[str, Any]:
    """The columns that options of a call go to."""
    if not isinstance(given, Mapping):
        raise TypeError(f"options must be a dict, not {given!r}.")
    if (unknown := unknown_name(given)) is not None:
        raise unknown_call_option("options", unknown)
    for name, why in _SENSELESS.items():
        if given.get(name) is not None:
            raise ValueError(f"options[{name!r}] is not for schedules: {why}.")
    columns: dict[str, Any] = {}
    if given.get("queue") is not None:
        columns["queue"] = queue_name(task, given["queue"])
    if (priority := given.get("priority")) is not None:
        if not is_priority(priority):
            raise TypeError(f"options['priority'] must be a whole number, not {priority!r}.")
        columns["priority"] = int(priority)
    if (expires := given.get("expires")) is not None:
        columns["expires"] = _positive("expires", expires)
    if given.get("headers") is not None:
        columns["headers"] = plain_json(task, "headers", given["headers"])
    others = {name: value for name, value in given.items() if name not in _COLUMNS}
    stored = travelling(task, others)
    for name, value in others.items():
        if name == "countdown" and value:
            stored[name] = _positive(name, value)
        elif name not in CARRIED and name not in IGNORED_CALL_OPTIONS and value is not None:
            stored |= plain_json(task, "options", {name: value})
    columns["options"] = stored
    return columns


CARRIED: Final = frozenset(
    {
        *("countdown", "time_limit", "soft_time_limit", "ignore_result", "track_started"),
        *("shadow", "argsrepr", "kwargsrepr", "link", "link_error", "stamped_headers"),
    }
)
"""Options that are stored as messages carry them."""


def _positive(name: str, value: Any) -> float:
    seconds = seconds_of("options", name, value)
    if seconds <= 0:
        raise ValueError(f"options[{name!r}] must be more than 0 seconds, not {value!r}.")
    return seconds


def entry_from_signature(
    schedule: Any,
    sig: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
) -> tuple[str, dict[str, Any]]:
    """The entry of ``add_periodic_task()``, and the name it has without one, as in Celery."""
    if not isinstance(sig, Mapping):
        if not hasattr(sig, "signature"):
            raise TypeError(f"add_periodic_task() needs a task or a signature, not {sig!r}.")
        sig = sig.signature()
    call = Signature.from_dict(dict(sig)) if not isinstance(sig, Signature) else sig
    if call.get("subtask_type"):
        raise TypeError(
            f"add_periodic_task() cannot send a {call['subtask_type']}: call it in a task, and "
            "schedule that."
        )
    call = call.clone(tuple(args), dict(kwargs))
    return repr(call), {
        "schedule": schedule,
        "task": call["task"],
        "args": list(call["args"]),
        "kwargs": dict(call["kwargs"]),
        "options": {**call["options"], **options},
    }
