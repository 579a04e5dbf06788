"""Running a copy of a task, with other arguments if wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connections

from djtasks.calling import limit
from djtasks.codec import decode_call, encode_call
from djtasks.codec.text import check_size
from djtasks.codec.types import TAG
from djtasks.codec.values import dumps
from djtasks.control.each import database
from djtasks.control.placing import checked_priority, checked_queue
from djtasks.control.retrying import options_of_a_copy
from djtasks.control.sql import load
from djtasks.exceptions import DecodeError, EncodeError, NotUnique
from djtasks.ids import new_id, to_uuid
from djtasks.queue.enqueue import enqueue
from djtasks.queue.message import NewMessage
from djtasks.queue.uniqueness import OPTION, Unique
from djtasks.registry import registry
from djtasks.unique_keys import is_unique
from djtasks.unique_keys import unique_of as made_unique

if TYPE_CHECKING:
    from djtasks.lanes import Limits

CALL = load("call")

HIDDEN = {"argsrepr": "(…)", "kwargsrepr": "{…}"}
"""What is shown instead of new arguments where the old ones were not to be seen."""


def copy(
    id: UUID | str,
    *,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    payload: str | None = None,
    queue: str | None = None,
    priority: int | None = None,
    using: str | None = None,
) -> UUID:
    """Enqueue a new call like that of a task, whatever became of it; returns its id.

    ``args`` and ``kwargs`` replace those of the task; what is None stays. ``payload`` is both
    instead, as JSON text ``[args, kwargs]`` in the form in which they are stored and shown, with
    the tags of dates and other types: for a form in which somebody has edited them. Options of the
    call are copied, but what limits it is found out anew; it is in no workflow, is due at once, and
    never expires.

    A copy of a unique task is unique too, with the key that its arguments make; with other
    arguments of a task that is not registered here, it is not unique.

    Raises :class:`LookupError` for a task that nobody knows, and :class:`ValueError` that says
    what is wrong with the arguments (checked against the signature of the task if it is
    registered here), the queue, the priority, or that another task has its unique key.
    """
    alias = database(using)
    key, _ = to_uuid(id)
    with connections[alias].cursor() as cursor:
        cursor.execute(CALL, {"id": key})
        row = cursor.fetchone()
    if row is None:
        raise LookupError(f"Nothing is known of a task {id}.")
    name, old_queue, rank, stored, packed, lacks = row
    changes = not (args is None and kwargs is None and payload is None)
    if lacks and not changes:
        raise ValueError(
            f"Task {name}: it has not got the results of those that it waited for, which come "
            f"before its arguments: say which arguments the copy is to have."
        )
    body = _arguments(name, stored, args, kwargs, payload)
    options = options_of_a_copy(packed)
    if changes and options is not None:
        options.update({name: text for name, text in HIDDEN.items() if name in options})
    if options is not None:
        # It is given its own: other arguments may be of another key.
        options.pop("lane", None)
        options.pop("fair", None)
    message = NewMessage(
        new_id(),
        name,
        body,
        old_queue if queue is None else checked_queue(queue),
        -rank if priority is None else checked_priority(priority),
        options=options or None,
    )
    _make_unique(message, anew=changes)
    task = registry.get(name)
    if task is not None and task.limits:
        _limit(message, task.limits)
    try:
        enqueue([message], mode="transaction", using=alias)
    except NotUnique as error:
        raise ValueError(str(error)) from error
    return message.id


def _make_unique(message: NewMessage, *, anew: bool) -> None:
    """Have a copy take the key of what it is a copy of, or one of its own for new arguments."""
    told = (message.options or {}).pop(OPTION, None)
    unique = Unique.of_option(told)
    task = registry.get(message.task)
    if unique is not None and anew and is_unique(task):
        try:
            args, kwargs = decode_call(message.payload)
            unique = made_unique(message.task, task, args, kwargs, {})
        except (DecodeError, TypeError, ValueError) as error:
            raise ValueError(str(error)) from error
    elif anew and task is None:
        unique = None
    if unique is not None:
        unique.on_conflict = "raise"
        message.unique = unique
        message.options = {**(message.options or {}), OPTION: unique.as_option()}
    elif not message.options:
        message.options = None


def _arguments(
    name: str,
    stored: str | None,
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
    payload: str | None,
) -> str:
    """The arguments of a copy as JSON text. Raises :class:`ValueError`."""
    if payload is not None and (args is not None or kwargs is not None):
        raise ValueError("Give the arguments either as args and kwargs or as payload, not both.")
    if not name or (payload is None and stored is None):
        raise ValueError("What was called is not stored.")
    try:
        if payload is not None:
            # Whatever is wrong with a tag, an instance that is gone too, is said here and now.
            decode_call(payload)
            parts = json.loads(payload)
        else:
            parts = json.loads(stored or "")
            if [type(part) for part in parts] != [list, dict]:
                raise ValueError(f"The stored arguments are not a list and a dict: {parts!r:.200}.")
            if args is not None:
                parts[0] = json.loads(encode_call(list(args), {}, task=name))[0]
            if kwargs is not None:
                parts[1] = json.loads(encode_call([], kwargs, task=name))[1]
        text = dumps(parts)
        check_size(text, f"the arguments of task {name!r}")
        _check_signature(name, *parts)
    except (DecodeError, EncodeError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"Task {name}: {error}") from error
    return text


def _limit(message: NewMessage, limits: Limits) -> None:
    """Put a copy into the lane of its arguments. Raises :class:`ValueError`."""
    try:
        args, kwargs = decode_call(message.payload)
        limit(message, limits, args, kwargs, complete=True)
    except TypeError as error:
        raise ValueError(str(error)) from error


def _check_signature(name: str, args: Any, kwargs: Any) -> None:
    """Raise :class:`TypeError` if a task that is registered here cannot be called so."""
    task = registry.get(name)
    if task is None or not task.typing:
        return
    if TAG in kwargs:
        # Keyword arguments of which one has the name of the tag are stored as pairs.
        kwargs = dict(kwargs["v"])
    task._header(*args, **kwargs)
