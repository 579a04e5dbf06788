"""The key of a unique call: from a template, a function, a text, or all of its arguments.

A key belongs to the name of its task: two tasks never have the same one.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from string import Formatter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from weakref import WeakKeyDictionary

from django.db.models import Model

from djtasks.codec.types import TAG
from djtasks.codec.values import CannotEncode, dumps, tagged
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
    if not isinstance(template, str):
        return
    try:
        names = list(_names(template))
    except ValueError as error:
        raise TypeError(
            f"Task {where}: the unique_key {template!r} is no template: {error}. Braces that are "
            f"meant as such are written twice."
        ) from None
    parameters = _parameters(task)
    if parameters is None:
        return
    known = [
        name
        for name, parameter in parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    for name in names:
        if not name or name.isdigit():
            raise TypeError(
                f"Task {where}: the unique_key {template!r} must name the arguments that it is "
                f"made of, as in '{{{known[0] if known else 'account_id'}}}'."
            )
        if name not in known and len(known) == len(parameters):
            close = get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise TypeError(
                f"Task {where}: the unique_key {template!r} names {name!r}, which is no argument "
                f"of the task.{hint} It takes: {', '.join(known) or 'none'}."
            )


def _made(
    name: str, task: Task[..., Any] | None, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> str:
    """The key that the task's declaration makes of these arguments."""
    if task is None:
        raise ValueError(
            f"Task {name} is not known in this process, so that its arguments have no names: call "
            f"it with the unique_key that it is to have."
        )
    template = task.unique_key
    if callable(template):
        return _called(name, template, args, kwargs)
    arguments = _bound(name, task, args, kwargs)
    if template is None:
        return _canonical(name, task, arguments)
    return _filled(name, template, arguments)


def _called(
    name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> str:
    try:
        key = function(*args, **kwargs)
    except Exception as error:
        raise ValueError(
            f"Task {name}: its unique_key, a function, raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(key, str):
        raise TypeError(
            f"Task {name}: its unique_key, a function, must return a text, not {key!r}."
        )
    return key


def _filled(name: str, template: str, arguments: Mapping[str, Any]) -> str:
    try:
        return _Template().vformat(template, (), arguments)
    except KeyError as error:
        raise ValueError(
            f"Task {name}: the unique_key {template!r} needs {error.args[0]!r}, which this call "
            f"does not give."
        ) from error
    except Exception as error:
        raise ValueError(
            f"Task {name}: the unique_key {template!r} cannot be made of these arguments: "
            f"{type(error).__name__}: {error}"
        ) from error


class _Template(Formatter):
    """``str.format`` by names, in which a model instance is its primary key."""

    def format_field(self, value: Any, format_spec: str) -> Any:
        return super().format_field(value.pk if isinstance(value, Model) else value, format_spec)


def _names(template: str) -> Iterator[str]:
    """The names that a template begins its fields with."""
    for _, field, spec, _ in Formatter().parse(template):
        if field is not None:
            yield re.split(r"[.\[]", field, maxsplit=1)[0]
            yield from _names(spec or "")


def _parameters(
    task: Task[..., Any] | type[Task[..., Any]],
) -> Mapping[str, inspect.Parameter] | None:
    """The parameters of a task's body, without the task; None if they are not known."""
    signature = _signature(task if isinstance(task, type) else type(task))
    return None if signature is None else signature.parameters


_signatures: WeakKeyDictionary[type, inspect.Signature | None] = WeakKeyDictionary()


def _signature(cls: type) -> inspect.Signature | None:
    """The signature of a task's body, without the task; None if it is not known."""
    if cls not in _signatures:
        # To make it takes longer than to use it.
        _signatures[cls] = _made_signature(inspect.getattr_static(cls, "run"))
    return _signatures[cls]


def _made_signature(body: Any) -> inspect.Signature | None:
    try:
        if isinstance(body, staticmethod):
            return inspect.signature(body.__func__)
        signature = inspect.signature(body)
    except ValueError:
        # Some callables written in C tell nothing of their parameters.
        return None
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def _bound(
    name: str, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call by their names, with defaults; extra keyword arguments too."""
    signature = _signature(type(task))
    if signature is None:
        return {"args": list(args), **kwargs}
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"Task {name}: its unique key cannot be made: {error}.") from error
    bound.apply_defaults()
    arguments = dict(bound.arguments)
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            arguments.update(arguments.pop(parameter.name))
    return arguments


def _canonical(name: str, task: Task[..., Any], arguments: Mapping[str, Any]) -> str:
    """All arguments as JSON, the same text for the same call however it was written."""
    found = {}
    for argument, value in arguments.items():
        try:
            found[argument] = _sorted(tagged(value))
        except CannotEncode as error:
            parameter = (_parameters(task) or {}).get(argument)
            if parameter is not None and parameter.default is value:
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
