"""From a call to a message: options are checked and resolved, then one row is enqueued.

Everything that can be wrong with a call is found here, before any SQL.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from djtasks.canvas.signature import as_list
from djtasks.codec import encode_call, encode_result, storable
from djtasks.codec.types import TAG
from djtasks.conf import conf
from djtasks.exceptions import EncodeError
from djtasks.execution.request import current_frame
from djtasks.ids import new_id, to_uuid
from djtasks.options import is_priority
from djtasks.queue.enqueue import enqueue
from djtasks.queue.message import NewMessage
from djtasks.result import AsyncResult
from djtasks.routing import queue_name, route
from djtasks.signals import after_task_publish, before_task_publish
from djtasks.when import aware, eta_of, expiry_of, now, seconds_of

if TYPE_CHECKING:
    from djtasks.execution.request import Context, Frame
    from djtasks.options import EnqueueMode
    from djtasks.task import Task

logger = logging.getLogger("djtasks.calling")

MODES = ("transaction", "on_commit")

NO_OPTIONS: Mapping[str, Any] = {}

AS_THEY_ARE = ("shadow", "argsrepr", "kwargsrepr")
"""Options of a call that are texts, and travel with the message."""


class SentTask(NamedTuple):
    """A call as it was made: what recorders get."""

    name: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    options: Mapping[str, Any]
    result: AsyncResult[Any]


Recorder = Callable[[SentTask], bool]
"""Takes a call and says whether it is enqueued all the same."""

recorder: ContextVar[Recorder | None] = ContextVar("djtasks_recorder", default=None)


def send(
    name: str,
    task: Task[..., Any] | None,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any] = NO_OPTIONS,
) -> AsyncResult[Any]:
    """Enqueue one call. ``options`` has known names only, ``task_id`` and links among them.

    Raises :class:`EncodeError` for arguments that JSON cannot carry, :class:`QueueNotFound`,
    :class:`DuplicateTaskId`, :class:`TypeError` and :class:`ValueError` for options of another
    type or out of range, and what the database raises.
    """
    if before_task_publish.receivers or after_task_publish.receivers:
        return _send_announced(name, task, args, kwargs, options)
    message = build(name, task, args, kwargs, options)
    result = handle_of(message, task, options)
    if goes_to_queue(name, args, kwargs, options, result):
        enqueue((message,), mode=mode_of(name, task, options))
    add_to_trail(result, options)
    return result


def build(
    name: str,
    task: Task[..., Any] | None,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any] = NO_OPTIONS,
) -> NewMessage:
    """The message of a call. Nothing is written."""
    payload = encode_call(args, kwargs, task=name)
    answer = route(name, args, kwargs, options, task)
    # What a call does not say, its task says; then the routes, its parent and the settings.
    queue: Any = options.get("queue")
    priority = options.get("priority")
    expires = None
    if task is not None:
        queue = queue or task.queue
        if priority is None:
            priority = task.priority
        expires = task.expires
    if answer:
        queue = queue or answer.get("queue")
        if priority is None:
            priority = answer.get("priority")
    frame = current_frame()
    parent = None if frame is None else running_request(frame)
    if priority is None and parent is not None and conf.TASK_INHERIT_PARENT_PRIORITY:
        priority = parent.delivery_info.get("priority")
    if priority is None:
        priority = conf.TASK_DEFAULT_PRIORITY
    elif not is_priority(priority):
        raise TypeError(f"Task {name}: priority must be a whole number, not {priority!r}.")
    message = NewMessage(
        new_id(), name, payload, queue_name(name, queue or conf.TASK_DEFAULT_QUEUE), priority
    )
    if parent is not None:
        message.parent_id = to_uuid(parent.id)[0] if parent.id else None
        root = parent.root_id or parent.id
        message.root_id = to_uuid(root)[0] if root else None
    if options:
        expires = options.get("expires", expires)
        _apply_options(message, name, options)
    if expires is not None:
        message.expires = _expiry(message, name, expires)
    if task is not None and "shadow_name" in task.overrides and not options.get("shadow"):
        shadow = task.shadow_name(tuple(args), dict(kwargs), dict(options))
        if shadow:
            message.options = {**(message.options or {}), "shadow": shadow}
    return message


def handle_of(
    message: NewMessage, task: Task[..., Any] | None, options: Mapping[str, Any]
) -> AsyncResult[Any]:
    """The result of a message, ignored if the call or its task says so."""
    ignored = options.get("ignore_result")
    if ignored is None and task is not None:
        ignored = task.ignore_result
    return AsyncResult.of(message.id, message.custom_id, message.task, bool(ignored))


def mode_of(name: str, task: Task[..., Any] | None, options: Mapping[str, Any]) -> EnqueueMode:
    """Whether a message is written in the caller's transaction or when that commits."""
    mode = options.get("enqueue")
    if mode is None:
        return cast("EnqueueMode", conf.ENQUEUE if task is None else task.enqueue)
    if mode not in MODES:
        raise ValueError(f"Task {name}: enqueue must be one of {MODES}, not {mode!r}.")
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
    return record is None or record(SentTask(name, args, kwargs, options, result))


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
    if not isinstance(args, (list, tuple)):
        raise TypeError(
            f"Task {name}: args must be a list or tuple, not {type(args).__name__}. For a single "
            f"argument write args=(value,), with the comma."
        )
    if not isinstance(kwargs, Mapping):
        raise TypeError(f"Task {name}: kwargs must be a mapping, not {type(kwargs).__name__}.")


def travelling(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those options of a call that are carried by the message for the worker, as JSON."""
    found: dict[str, Any] = {}
    get = options.get
    headers = get("headers")
    if headers is not None:
        found["headers"] = _plain_json(name, "headers", headers)
    hard, soft = get("time_limit"), get("soft_time_limit")
    if hard is not None or soft is not None:
        found["timelimit"] = [
            _limit(name, "time_limit", hard),
            _limit(name, "soft_time_limit", soft),
        ]
    for option in ("ignore_result", "track_started"):
        if (flag := get(option)) is not None:
            found[option] = bool(flag)
    for option in AS_THEY_ARE:
        if (text := get(option)) is not None:
            found[option] = storable(str(text))
    for option in ("link", "link_error"):
        if links := as_list(get(option)):
            found[option] = packed_links(name, option, links)
    if (group := get("group_id")) is not None:
        found["group"] = str(group)
        found["group_index"] = get("group_index")
    return found


def packed_links(name: str, option: str, links: Sequence[Any]) -> list[dict[str, Any]]:
    """Linked signatures as JSON that :func:`djtasks.signature` makes signatures from again."""
    packed = []
    for link in links:
        if not isinstance(link, Mapping) or not isinstance(link.get("task"), str):
            raise TypeError(
                f"Task {name}: {option} must be a signature or a list of them, such as "
                f"other_task.s(), not {link!r}."
            )
        packed.append(_packed(link))
    return packed


def _packed(link: Mapping[str, Any]) -> dict[str, Any]:
    task = link["task"]
    args, kwargs = tuple(link.get("args") or ()), dict(link.get("kwargs") or {})
    options = dict(link.get("options") or {})
    for option in ("eta", "expires", "countdown"):
        # What is relative stays so: it counts from when the link is enqueued.
        value = options.get(option)
        if isinstance(value, datetime):
            options[option] = aware(value).isoformat()
        elif isinstance(value, timedelta):
            options[option] = value.total_seconds()
    if "queue" in options:
        options["queue"] = getattr(options["queue"], "name", options["queue"])
    for option in ("link", "link_error"):
        if nested := as_list(options.get(option)):
            options[option] = packed_links(task, option, nested)
    packed: dict[str, Any] = {
        "task": task,
        "options": _plain_json(task, "options", options),
        "subtask_type": link.get("subtask_type"),
        "immutable": bool(link.get("immutable")),
    }
    payload = encode_call(args, kwargs, task=task)
    if TAG in payload:
        # They have types that JSON does not; a signature made from this reads them.
        packed["payload"] = payload
    else:
        packed["args"], packed["kwargs"] = json.loads(payload)
    return packed


def _apply_options(message: NewMessage, name: str, options: Mapping[str, Any]) -> None:
    get = options.get
    task_id = get("task_id")
    if task_id is not None:
        message.id, message.custom_id = to_uuid(task_id)
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


def _limit(name: str, option: str, value: Any) -> float | None:
    if value is None:
        return None
    seconds = seconds_of(f"Task {name}", option, value)
    if seconds <= 0:
        raise ValueError(f"Task {name}: {option} must be above 0 seconds, not {value!r}.")
    return seconds if isinstance(value, float) else int(seconds)


def _plain_json(name: str, what: str, value: Any) -> Any:
    """A copy of a mapping as JSON has it; :class:`EncodeError` if JSON cannot carry it."""
    if not isinstance(value, Mapping):
        raise TypeError(f"Task {name}: {what} must be a mapping, not {type(value).__name__}.")
    text = encode_result(dict(value), what=f"{what} of a call of task {name!r}")
    if TAG in text:
        raise EncodeError(
            f"Task {name}: {what} must be texts, numbers, lists and dicts, not {value!r}."
        )
    return json.loads(text)


def _send_announced(
    name: str,
    task: Task[..., Any] | None,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
) -> AsyncResult[Any]:
    """:func:`send` with the signals around it, whose receivers may add headers."""
    message = build(name, task, args, kwargs, options)
    task_id = message.custom_id or str(message.id)
    headers = {
        "lang": "py",
        "task": name,
        "id": task_id,
        "shadow": options.get("shadow"),
        "eta": None if message.eta is None else message.eta.isoformat(),
        "expires": None if message.expires is None else message.expires.isoformat(),
        "group": options.get("group_id"),
        "group_index": options.get("group_index"),
        "retries": message.retries,
        "timelimit": [options.get("time_limit"), options.get("soft_time_limit")],
        "root_id": str(message.root_id or message.id),
        "parent_id": None if message.parent_id is None else str(message.parent_id),
        "argsrepr": options.get("argsrepr"),
        "kwargsrepr": options.get("kwargsrepr"),
        "ignore_result": options.get("ignore_result"),
    }
    standard = frozenset(headers)
    headers.update(options.get("headers") or {})
    links = {
        "callbacks": options.get("link"),
        "errbacks": options.get("link_error"),
        "chain": None,
        "chord": None,
    }
    body = (tuple(args), dict(kwargs), links)
    before_task_publish.emit(
        name,
        body=body,
        exchange="",
        routing_key=message.queue,
        headers=headers,
        properties={"correlation_id": task_id, "priority": message.priority},
        declare=[],
        retry_policy=None,
    )
    # Receivers may have added headers, and changed arguments in place.
    message.payload = encode_call(body[0], body[1], task=name)
    custom = {key: value for key, value in headers.items() if key not in standard}
    if custom:
        custom = _plain_json(name, "headers", custom)
        message.options = {**(message.options or {}), "headers": custom}
    result = handle_of(message, task, options)
    if goes_to_queue(name, args, kwargs, options, result):
        enqueue((message,), mode=mode_of(name, task, options))
    add_to_trail(result, options)
    after_task_publish.emit(
        name, headers=headers, body=body, exchange="", routing_key=message.queue
    )
    return result
