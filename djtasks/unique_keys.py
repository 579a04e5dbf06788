"""The key of a unique call: from a template, a function, a text, or all of its arguments.

A key belongs to the name of its task: two tasks never have the same one.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from djtasks.codec.types import TAG
from djtasks.codec.values import CannotEncode, dumps, tagged
from djtasks.key_making import bound, called, check_template, filled, signature_of
from djtasks.options import UNIQUE_OPTIONS, checked_task_option
from djtasks.queue.uniqueness import MODES, OnConflict, Unique, UniqueMode

if TYPE_CHECKING:
    from djtasks.task import Task

LONGEST: Final = 255
"""Bytes of a key, without the name of its task, that is stored as it is; a longer one is hashed."""

LONGEST_NAME: Final = 1000
"""Bytes of a task's name and its key together, more of which are hashed as a whole."""

HASHED: Final = "sha256:"

_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def unique_of(
    name: str,
    task: Task[..., Any] | None,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Unique | None:
    """What makes this call unique, as its options or else its task say; None if nothing does.

    Raises :class:`TypeError` and :class:`ValueError`, naming the task, for options of another type
    and for a key that cannot be made of these arguments.
    """
    terms = _terms(name, task, options)
    if terms is None:
        return None
    text = terms.key
    if text is None:
        text = _made(name, task, args, kwargs)
    return Unique(scoped(name, text), terms.mode, terms.seconds, terms.on_conflict)


def refuse_unique(name: str, task: Task[..., Any] | None, options: Mapping[str, Any]) -> None:
    """Raise :class:`ValueError` for a call of a unique task as a part of a workflow."""
    if _terms(name, task, options) is not None:
        raise ValueError(
            f"Task {name} is unique, and cannot be part of a workflow: what waits for it would "
            f"wait for ever where another task has its key. Give the signature unique=False, as "
            f"in .set(unique=False), or enqueue it apart, many at once with enqueue_many()."
        )


class _Terms(NamedTuple):
    """What a call's options and its task say; ``key`` is that of the call alone."""

    key: str | None
    mode: UniqueMode
    seconds: float | None
    on_conflict: OnConflict


def _terms(name: str, task: Task[..., Any] | None, options: Mapping[str, Any]) -> _Terms | None:
    given = {
        option: checked_task_option(name, option, options[option])
        for option in UNIQUE_OPTIONS
        if options.get(option) is not None
    }
    key = given.get("unique_key")
    if key is not None and not isinstance(key, str):
        raise TypeError(
            f"Task {name}: the unique_key of a call must be a text, which is the key itself, not "
            f"{key!r}. Templates and functions are for the declaration of the task."
        )

    def option(which: str) -> Any:
        return given.get(which, None if task is None else getattr(task, which))

    unique, period = option("unique"), option("unique_for")
    if unique is False:
        return None
    if unique is None:
        if key is None and period is None and (task is None or task.unique_key is None):
            return None
        mode = UniqueMode.DONE if period is None else UniqueMode.NONE
    else:
        mode = UniqueMode.DONE if unique is True else MODES[unique]
    seconds = period.total_seconds() if isinstance(period, timedelta) else period
    on_conflict = cast("OnConflict", option("unique_on_conflict") or "existing")
    return _Terms(key, mode, seconds, on_conflict)


def is_unique(task: Task[..., Any] | None) -> bool:
    """Whether calls of a task are unique that say nothing of it themselves."""
    if task is None or task.unique is False:
        return False
    return bool(task.unique) or task.unique_key is not None or task.unique_for is not None


def scoped(name: str, key: str) -> str:
    """The key as it is stored, for a task of this name.

    Raises :class:`ValueError` for what PostgreSQL cannot store.
    """
    if "\0" in key or (not key.isascii() and _LONE_SURROGATE.search(key)):
        raise ValueError(
            f"Task {name}: the unique_key {key!r} contains a NUL or a lone surrogate, which "
            f"PostgreSQL cannot store: leave them out."
        )
    if len(key.encode()) > LONGEST or key.startswith(HASHED):
        key = _hash(key)
    # No two pairs of a name and a key give the same text.
    scope = name.replace("%", "%25").replace(":", "%3A")
    stored = f"{scope}:{key}"
    return stored if len(stored.encode()) <= LONGEST_NAME else _hash(stored)


def check_declared(where: str, task: Task[..., Any] | type[Task[..., Any]]) -> None:
    """Raise :class:`TypeError` if a task's ``unique_key`` cannot be made of its arguments."""
    template = inspect.getattr_static(task, "unique_key", None)
    if isinstance(template, str):
        check_template(_where(where), template, task)


def _made(
    name: str, task: Task[..., Any] | None, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> str:
    """The key that the task's declaration makes of these arguments."""
    if task is None:
        raise ValueError(
            f"Task {name} is not known in this process, so that its arguments have no names: call "
            f"it with the unique_key that it is to have."
        )
    template, where = task.unique_key, _where(name)
    if callable(template):
        return called(where, template, args, kwargs)
    arguments = bound(where, task, args, kwargs)
    if template is None:
        return _canonical(name, task, arguments)
    return filled(where, template, arguments)


def _where(name: str) -> str:
    return f"Task {name}: the unique_key"


def _canonical(name: str, task: Task[..., Any], arguments: Mapping[str, Any]) -> str:
    """All arguments as JSON, the same text for the same call however it was written."""
    found = {}
    for argument, value in arguments.items():
        try:
            found[argument] = _sorted(tagged(value))
        except CannotEncode as error:
            signature = signature_of(task)
            parameter = signature and signature.parameters.get(argument)
            if parameter and parameter.default is value:
                # A default that no caller can give: the call is told apart without it.
                continue
            raise ValueError(
                f"Task {name}: its unique key cannot be made of {argument!r}: {error.reason}."
            ) from error
    return dumps({argument: found[argument] for argument in sorted(found)})


def _sorted(value: Any) -> Any:
    """JSON with dicts by their names, and the members of sets by their texts."""
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get(TAG) in ("set", "frozenset"):
        members = sorted((_sorted(item) for item in value["v"]), key=json.dumps)
        return {TAG: value[TAG], "v": members}
    return {name: _sorted(value[name]) for name in sorted(value)}


def _hash(key: str) -> str:
    return HASHED + hashlib.sha256(key.encode()).hexdigest()
