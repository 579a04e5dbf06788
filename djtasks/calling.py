"""From a call to a message: options are checked and resolved, then one row is enqueued.

Everything that can be wrong with a call is found here, before any SQL.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from djtasks.carried import plain_json, travelling
from djtasks.codec import encode_call, storable
from djtasks.conf import conf
from djtasks.execution.request import current_frame
from djtasks.ids import new_id, to_uuid
from djtasks.options import UNIQUE_OPTIONS, is_priority
from djtasks.queue.enqueue import enqueue
from djtasks.queue.message import NewMessage
from djtasks.queue.uniqueness import OPTION as UNIQUE
from djtasks.result import AsyncResult
from djtasks.routing import queue_name, route
from djtasks.signals import after_task_publish, before_task_publish
from djtasks.unique_keys import is_unique, unique_of
from djtasks.when import eta_of, expiry_of, now

if TYPE_CHECKING:
    from uuid import UUID

    from djtasks.execution.request import Context, Frame
    from djtasks.lanes import Limits
    from djtasks.options import EnqueueMode
    from djtasks.task import Task

logger = logging.getLogger("djtasks.calling")

MODES = ("transaction", "on_commit")

NO_OPTIONS: Mapping[str, Any] = {}


class SentTask(NamedTuple):
    """A call as it was made: what recorders get."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    options: dict[str, Any]
    result: AsyncResult[Any]


Recorder = Callable[[SentTask], bool]
"""Takes a call and says whether it is enqueued all the same."""

recorder: ContextVar[Recorder | None] = ContextVar("djtasks_recorder", default=None)


class Defaults:
    """What holds for a call of one task that says nothing else, at this moment and place.

    ``check`` raises what is wrong with the arguments, where the task is known and typed.
    """

    __slots__ = (
        "check",
        "expires",
        "ignored",
        "mode",
        "name",
        "parent_id",
        "priority",
        "queue",
        "root_id",
        "task",
        "unique",
    )

    def __init__(
        self,
        name: str,
        task: Task[..., Any] | None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] = NO_OPTIONS,
        options: Mapping[str, Any] = NO_OPTIONS,
    ) -> None:
        """Ask the task, then the routes, the running task and the settings.

        Arguments and options are only shown to routers that are functions.
        """
        self.name = name
        self.task = task
        queue: Any = None
        priority: Any = None
        if task is None:
            self.expires: Any = None
            self.ignored = False
            self.mode = cast("EnqueueMode", conf.ENQUEUE)
            self.check: Callable[..., None] | None = None
            self.unique = False
        else:
            queue, priority = task.queue, task.priority
            self.expires = task.expires
            self.ignored = task.ignore_result
            self.mode = task.enqueue
            self.check = task._header if task.typing else None
            self.unique = is_unique(task)
        if conf.TASK_ROUTES:
            answer = route(name, args, kwargs, options, task)
            queue = queue or answer.get("queue")
            if priority is None:
                priority = answer.get("priority")
        self.parent_id: UUID | None = None
        self.root_id: UUID | None = None
        frame = current_frame()
        if frame is not None:
            parent = running_request(frame)
            if parent is not None:
                if parent.id:
                    self.parent_id = to_uuid(parent.id)[0]
                    self.root_id = to_uuid(parent.root_id)[0] if parent.root_id else self.parent_id
                if priority is None and conf.TASK_INHERIT_PARENT_PRIORITY:
                    priority = parent.delivery_info.get("priority")
        self.queue = queue_name(name, queue or conf.TASK_DEFAULT_QUEUE)
        self.priority = _checked_priority(name, priority, conf.TASK_DEFAULT_PRIORITY)


def send(
    name: str,
    task: Task[..., Any] | None,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any] = NO_OPTIONS,
) -> AsyncResult[Any]:
    """Enqueue one call. ``options`` has known names only, ``task_id`` and links among them.

    Raises :class:`EncodeError` for arguments that JSON cannot carry, :class:`QueueNotFound`,
    :class:`DuplicateTaskId`, :class:`NotUnique`, :class:`TypeError` and :class:`ValueError` for
    options of another type or out of range, and what the database raises. Returns the handle of
    the task that has the call's key, if it is not enqueued for that.
    """
    defaults = Defaults(name, task, args, kwargs, options)
    message = build(defaults, args, kwargs, options)
    if before_task_publish.receivers:
        announce(message, args, kwargs, options)
    result = handle_of(message, defaults, options)
    if goes_to_queue(name, args, kwargs, options, result):
        enqueue((message,), mode=mode_of(defaults, options))
        if message.unique is not None and message.unique.holder is not None:
            return handle_of_holder(message, result)
    add_to_trail(result, options)
    if after_task_publish.receivers:
        after_task_publish.emit(name, **envelope(message, args, kwargs, options))
    return result


def build(
    defaults: Defaults,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any] = NO_OPTIONS,
    *,
    complete: bool = True,
) -> NewMessage:
    """The message of a call. Nothing is written.

    Unless its arguments are ``complete`` the worker finds out which lane it is in; what its
    first argument might decide of the line that it stands in is none.
    """
    name = defaults.name
    message = NewMessage(
        new_id(),
        name,
        encode_call(args, kwargs, task=name),
        defaults.queue,
        defaults.priority,
    )
    if defaults.parent_id is not None:
        message.parent_id = defaults.parent_id
        message.root_id = defaults.root_id
    if options:
        _apply_options(message, name, options)
    expires = options.get("expires", defaults.expires)
    if expires is not None:
        message.expires = _expiry(message, name, expires)
    if defaults.unique or (options and not UNIQUE_OPTIONS.isdisjoint(options)):
        unique = unique_of(name, defaults.task, args, kwargs, options)
        if unique is not None:
            message.unique = unique
            message.options = {**(message.options or {}), UNIQUE: unique.as_option()}
    task = defaults.task
    if task is not None and "shadow_name" in task.overrides and not options.get("shadow"):
        shadow = task.shadow_name(tuple(args), dict(kwargs), dict(options))
        if shadow:
            message.options = {**(message.options or {}), "shadow": storable(shadow)}
    if task is not None and task.limits:
        limit(message, task.limits, args, kwargs, complete=complete)
    return message


def limit(
    message: NewMessage,
    limits: Limits,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    complete: bool,
) -> None:
    """Put a message into the lane of its call, and into the line of its tenant."""
    if limits.keeps_order:
        # Among those of a key only their order counts.
        message.priority = conf.TASK_DEFAULT_PRIORITY
    if complete and (lane := limits.lane(args, kwargs)) is not None:
        message.options = {**(message.options or {}), "lane": lane}
    if (fair := limits.fair(args, kwargs, complete=complete)) is not None:
        message.options = {**(message.options or {}), "fair": fair}


def handle_of(
    message: NewMessage, defaults: Defaults, options: Mapping[str, Any] = NO_OPTIONS
) -> AsyncResult[Any]:
    """The result of a message, ignored if the call or its task says so."""
    ignored = options.get("ignore_result")
    return AsyncResult.of(
        message.id,
        message.custom_id,
        message.task,
        defaults.ignored if ignored is None else bool(ignored),
    )


def handle_of_holder(message: NewMessage, own: AsyncResult[Any]) -> AsyncResult[Any]:
    """What a call gets in place of its own handle: that of the task that has its key, if any."""
    if message.unique is None or message.unique.holder is None:
        return own
    id, custom_id = message.unique.holder
    return AsyncResult.of(id, custom_id, message.task, own.ignored)


def mode_of(defaults: Defaults, options: Mapping[str, Any]) -> EnqueueMode:
    """Whether a message is written in the caller's transaction or when that commits."""
    mode = options.get("enqueue")
    if mode is None:
        return defaults.mode
    if mode not in MODES:
        raise ValueError(f"Task {defaults.name}: enqueue must be one of {MODES}, not {mode!r}.")
    return cast("EnqueueMode", mode)


def goes_to_queue(
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    result: AsyncResult[Any],
) -> bool:
    """Tell the recorder of this context, if there is one; whether the message is enqueued."""
    record = recorder.get()
    return record is None or record(
        SentTask(name, tuple(args), dict(kwargs), dict(options), result)
    )


def running_request(frame: Frame | None) -> Context | None:
    """The request of the task that runs here, not counting tasks that were called directly."""
    while frame is not None:
        if not frame.request.called_directly:
            return frame.request
        frame = frame.parent
    return None


def add_to_trail(result: AsyncResult[Any], options: Mapping[str, Any]) -> None:
    """Note a call in the children of the task that makes it, if that task keeps a trail."""
    frame = current_frame()
    while frame is not None:
        if not frame.request.called_directly:
            if frame.task.trail and options.get("add_to_parent", True):
                frame.task.add_trail(result)
            return
        frame = frame.parent


def check_arguments(name: str, args: Any, kwargs: Any) -> None:
    """Raise :class:`TypeError` unless args are a list or tuple and kwargs a mapping."""
    if type(args) is not tuple and not isinstance(args, (list, tuple)):
        raise TypeError(
            f"Task {name}: args must be a list or tuple, not {type(args).__name__}. For a single "
            f"argument write args=(value,), with the comma."
        )
    if type(kwargs) is not dict and not isinstance(kwargs, Mapping):
        raise TypeError(f"Task {name}: kwargs must be a mapping, not {type(kwargs).__name__}.")


def _apply_options(message: NewMessage, name: str, options: Mapping[str, Any]) -> None:
    get = options.get
    if (task_id := get("task_id")) is not None:
        message.id, message.custom_id = to_uuid(task_id)
    if (queue := get("queue")) is not None:
        message.queue = queue_name(name, queue)
    if (priority := get("priority")) is not None:
        message.priority = _checked_priority(name, priority, priority)
    if (root_id := get("root_id")) is not None:
        message.root_id = to_uuid(root_id)[0]
    if (parent_id := get("parent_id")) is not None:
        message.parent_id = to_uuid(parent_id)[0]
    message.eta = eta_of(name, get("eta"), get("countdown"))
    message.retries = get("retries") or 0
    message.options = travelling(name, options) or None


def _expiry(message: NewMessage, name: str, expires: Any) -> datetime | None:
    moment = expiry_of(name, expires)
    if moment is not None and moment < now():
        logger.warning(
            "Task %s[%s] expired before it was enqueued (expires=%r); it will end as REVOKED "
            "without being run.",
            name,
            message.custom_id or message.id,
            expires,
        )
    return moment


def _checked_priority(name: str, priority: Any, default: int) -> int:
    if priority is None:
        return default
    if not is_priority(priority):
        raise TypeError(f"Task {name}: priority must be a whole number, not {priority!r}.")
    return int(priority)


def announce(
    message: NewMessage,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
) -> None:
    """Send ``before_task_publish``, whose receivers may add headers and change arguments."""
    sent = envelope(message, args, kwargs, options)
    headers = sent["headers"]
    standard = frozenset(headers) - frozenset(options.get("headers") or ())
    before_task_publish.emit(
        message.task,
        **sent,
        properties={
            "correlation_id": message.custom_id or str(message.id),
            "priority": message.priority,
        },
        declare=[],
        retry_policy=None,
    )
    message.payload = encode_call(*sent["body"][:2], task=message.task)
    custom = {key: value for key, value in headers.items() if key not in standard}
    if custom:
        custom = plain_json(message.task, "headers", custom)
        message.options = {**(message.options or {}), "headers": custom}


def envelope(
    message: NewMessage,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """A message as receivers of Celery's publish signals know it."""
    get = options.get
    headers = {
        "lang": "py",
        "task": message.task,
        "id": message.custom_id or str(message.id),
        "shadow": get("shadow"),
        "eta": None if message.eta is None else message.eta.isoformat(),
        "expires": None if message.expires is None else message.expires.isoformat(),
        "group": get("group_id"),
        "group_index": get("group_index"),
        "retries": message.retries,
        "timelimit": [get("time_limit"), get("soft_time_limit")],
        "root_id": str(message.root_id or message.id),
        "parent_id": None if message.parent_id is None else str(message.parent_id),
        "argsrepr": get("argsrepr"),
        "kwargsrepr": get("kwargsrepr"),
        "ignore_result": get("ignore_result"),
        **((message.options or {}).get("headers") or {}),
    }
    links = {"callbacks": get("link"), "errbacks": get("link_error"), "chain": None, "chord": None}
    return {
        "body": (tuple(args), dict(kwargs), links),
        "exchange": "",
        "routing_key": message.queue,
        "headers": headers,
    }
