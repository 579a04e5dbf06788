"""The options of a task declaration and of a call: one table each, and how a typo is found.

Names, meanings and defaults are Celery's; `atomic`, `enqueue`, `max_deliveries` and those about
unique tasks are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any, Literal, TypedDict

from djtasks.lanes import rate_of

EnqueueMode = Literal["transaction", "on_commit"]

_ENQUEUE_MODES = ("transaction", "on_commit")

UNIQUE_OPTIONS = frozenset({"unique", "unique_key", "unique_for", "unique_on_conflict"})
"""Options of a task, and of a call, that say what makes a call unique."""


class CallOptions(TypedDict, total=False):
    """What :meth:`Task.apply_async` takes beside args, kwargs, task_id, links and shadow.

    Times in seconds unless they are a datetime (aware, or naive in the current time zone).
    """

    countdown: float | timedelta | None
    eta: datetime | str | None
    expires: float | timedelta | datetime | str | None
    queue: Any
    priority: int | None
    headers: Mapping[str, Any] | None
    time_limit: float | None
    soft_time_limit: float | None
    ignore_result: bool | None
    track_started: bool | None
    argsrepr: str | None
    kwargsrepr: str | None
    enqueue: EnqueueMode | None
    unique: bool | Literal["queued", "done"] | None
    unique_key: str | None
    unique_for: float | timedelta | None
    unique_on_conflict: Literal["existing", "raise", "replace"] | None
    add_to_parent: bool
    retries: int
    root_id: str | None
    parent_id: str | None
    group_id: str | None
    group_index: int | None
    stamped_headers: Sequence[str] | None
    # Accepted and ignored: see IGNORED_CALL_OPTIONS.
    exchange: Any
    exchange_type: Any
    routing_key: Any
    delivery_mode: Any
    declare: Any
    mandatory: Any
    immediate: Any
    timeout: Any
    confirm_timeout: Any
    serializer: Any
    compression: Any
    retry: Any
    retry_policy: Any
    connection: Any
    publisher: Any
    router: Any
    route_name: Any
    reply_to: Any
    origin: Any


IGNORED_CALL_OPTIONS: Mapping[str, str] = {
    "exchange": "there are no exchanges; the queue alone says where a task goes",
    "exchange_type": "there are no exchanges",
    "routing_key": "there are no exchanges to route by key; use queue= or TASK_ROUTES",
    "delivery_mode": "every message is as durable as the database",
    "declare": "queues need no declaration",
    "mandatory": "a message waits until a worker serves its queue",
    "immediate": "a message waits until a worker serves its queue",
    "timeout": "the caller's database connection has its own timeouts",
    "confirm_timeout": "COMMIT is the confirmation",
    "serializer": "arguments are always typed JSON",
    "compression": "PostgreSQL compresses large values by itself",
    "retry": "enqueueing is one INSERT in the caller's transaction; it cannot be retried apart",
    "retry_policy": "see retry",
    "connection": "messages are written on Django's connection",
    "producer": "messages are written on Django's connection",
    "publisher": "messages are written on Django's connection",
    "router": "TASK_ROUTES is the only router",
    "route_name": "tasks are routed by their own name",
    "reply_to": "results are rows; nothing is sent back",
    "origin": "the sender is not recorded",
}
"""Options of a call that have no meaning without a broker, and why they can be ignored."""

IGNORED_TASK_OPTIONS: Mapping[str, str] = {
    "exchange": IGNORED_CALL_OPTIONS["exchange"],
    "exchange_type": IGNORED_CALL_OPTIONS["exchange_type"],
    "routing_key": IGNORED_CALL_OPTIONS["routing_key"],
    "delivery_mode": IGNORED_CALL_OPTIONS["delivery_mode"],
    "mandatory": IGNORED_CALL_OPTIONS["mandatory"],
    "immediate": IGNORED_CALL_OPTIONS["immediate"],
    "serializer": IGNORED_CALL_OPTIONS["serializer"],
    "compression": IGNORED_CALL_OPTIONS["compression"],
    "send_events": "the task's row is what monitors read",
    "backend": "results are stored in the table of results",
    "abstract": "a class is registered only when it is asked for",
}
"""Options of a declaration that have no meaning without a broker, and why."""

RETRY_OPTIONS = frozenset(
    {
        "queue",
        "priority",
        "expires",
        "headers",
        "time_limit",
        "soft_time_limit",
        "ignore_result",
        "link",
        "link_error",
        "shadow",
        "argsrepr",
        "kwargsrepr",
    }
)
"""What :meth:`Task.retry` may change of a message, beside its arguments and its time."""

PARAMETERS = frozenset({"task_id", "producer", "link", "link_error", "shadow"})
"""Parameters of ``apply_async`` by name, which signatures and routes carry as options."""

CALL_OPTIONS = frozenset(CallOptions.__annotations__) | PARAMETERS


@dataclass(frozen=True, slots=True)
class TaskOption:
    """One option of ``@shared_task``: its default, and a check that says what it must be."""

    name: str
    default: Any
    expected: str
    accepts: Callable[[Any], bool]
    setting: str | None = None
    """The setting that holds while neither the task nor its base class says anything."""
    words: tuple[str, ...] = ()
    """Texts that it may be, for a hint to the one that was meant."""


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))


def _is_seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_expiry(value: object) -> bool:
    return isinstance(value, (int, float, timedelta, datetime, str)) and not isinstance(value, bool)


def is_priority(value: object) -> bool:
    """Whether a value can be a message's priority: a whole number that fits into an integer."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31


def _is_period(value: object) -> bool:
    return value > timedelta() if isinstance(value, timedelta) else _is_seconds(value)


def _are_exceptions(value: object) -> bool:
    members = value if isinstance(value, (tuple, list, set, frozenset)) else (value,)
    return all(isinstance(m, type) and issubclass(m, BaseException) for m in members)


def _is_rate(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return False
    try:
        rate_of(value)
    except ValueError:
        return False
    return True


def _is_key(value: object) -> bool:
    return callable(value) or (isinstance(value, str) and bool(value))


_KEY = 'a text such as "account:{account_id}", or a function'
_EXCEPTIONS = "an exception class or a tuple of them"
_FLAG = "True or False"


def _one_of(name: str, *words: str) -> TaskOption:
    """An option that is one of these words, the first by default."""
    *others, last = [f'"{word}"' for word in words]
    expected = f"{', '.join(others)} or {last}"
    return TaskOption(name, words[0], expected, lambda v: v in words, words=words)


TASK_OPTIONS: Mapping[str, TaskOption] = {
    option.name: option
    for option in (
        TaskOption("name", None, "a non-empty text", _is_text),
        TaskOption("bind", False, _FLAG, _is_bool),
        TaskOption("base", None, "a Task class", lambda v: isinstance(v, type)),
        TaskOption("typing", None, _FLAG, _is_bool, "TASK_STRICT_TYPING"),
        TaskOption("autoretry_for", (), _EXCEPTIONS, _are_exceptions),
        TaskOption("dont_autoretry_for", (), _EXCEPTIONS, _are_exceptions),
        TaskOption("retry_kwargs", {}, "a mapping", lambda v: isinstance(v, Mapping)),
        TaskOption("retry_backoff", False, "True, False or a number", _is_number),
        TaskOption("retry_backoff_max", 600, "a number of seconds", _is_number),
        TaskOption("retry_jitter", True, _FLAG, _is_bool),
        TaskOption("max_retries", 3, "a whole number, or None for no limit", _is_count),
        TaskOption(
            "default_retry_delay",
            180,
            "a number of seconds",
            lambda v: _is_number(v) and v >= 0,
        ),
        TaskOption("throws", (), _EXCEPTIONS, _are_exceptions),
        TaskOption("ignore_result", None, _FLAG, _is_bool, "TASK_IGNORE_RESULT"),
        TaskOption(
            "store_errors_even_if_ignored",
            None,
            _FLAG,
            _is_bool,
            "TASK_STORE_ERRORS_EVEN_IF_IGNORED",
        ),
        TaskOption("store_eager_result", None, _FLAG, _is_bool, "TASK_STORE_EAGER_RESULT"),
        TaskOption("track_started", None, _FLAG, _is_bool, "TASK_TRACK_STARTED"),
        TaskOption("acks_late", None, _FLAG, _is_bool, "TASK_ACKS_LATE"),
        TaskOption(
            "acks_on_failure_or_timeout",
            None,
            _FLAG,
            _is_bool,
            "TASK_ACKS_ON_FAILURE_OR_TIMEOUT",
        ),
        TaskOption("acks_on_failure", None, _FLAG, _is_bool),
        TaskOption("acks_on_timeout", None, _FLAG, _is_bool),
        TaskOption("reject_on_worker_lost", None, _FLAG, _is_bool, "TASK_REJECT_ON_WORKER_LOST"),
        TaskOption("retry_on_worker_lost", None, _FLAG, _is_bool, "TASK_RETRY_ON_WORKER_LOST"),
        TaskOption("time_limit", None, "a number of seconds above 0", _is_seconds),
        TaskOption("soft_time_limit", None, "a number of seconds above 0", _is_seconds),
        TaskOption("expires", None, "a number of seconds, a timedelta or a datetime", _is_expiry),
        TaskOption("queue", None, "a non-empty text", _is_text),
        TaskOption("priority", None, "a whole number (larger runs first)", is_priority),
        TaskOption("resultrepr_maxsize", 1024, "a number of characters", _is_count),
        TaskOption("trail", True, _FLAG, _is_bool),
        TaskOption("pydantic", False, _FLAG, _is_bool),
        TaskOption("pydantic_strict", False, _FLAG, _is_bool),
        TaskOption("pydantic_context", None, "a mapping", lambda v: isinstance(v, Mapping)),
        TaskOption("pydantic_dump_kwargs", None, "a mapping", lambda v: isinstance(v, Mapping)),
        TaskOption("atomic", False, _FLAG, _is_bool),
        TaskOption(
            "enqueue",
            None,
            '"transaction" or "on_commit"',
            lambda v: v in _ENQUEUE_MODES,
            "ENQUEUE",
        ),
        TaskOption(
            "max_deliveries",
            None,
            "a whole number above 0",
            lambda v: _is_count(v) and v > 0,
            "MAX_DELIVERIES",
        ),
        TaskOption(
            "unique",
            None,
            'True, False, "queued" or "done"',
            lambda v: _is_bool(v) or v in ("queued", "done"),
            words=("queued", "done"),
        ),
        TaskOption(
            "unique_key",
            None,
            "a text with names of arguments in braces, or a function that returns a text",
            lambda v: isinstance(v, (str, staticmethod)) or callable(v),
        ),
        TaskOption(
            "unique_for", None, "a number of seconds above 0, or such a timedelta", _is_period
        ),
        _one_of("unique_on_conflict", "existing", "raise", "replace"),
        TaskOption(
            "rate_limit", None, 'a rate such as "100/m"', _is_rate, "TASK_DEFAULT_RATE_LIMIT"
        ),
        _one_of("rate_limit_scope", "global", "worker"),
        TaskOption(
            "concurrency_limit",
            None,
            "a whole number above 0",
            lambda v: _is_count(v) and 0 < v < 2**31,
        ),
        TaskOption("concurrency_key", None, _KEY, _is_key),
        TaskOption("order_key", None, _KEY, _is_key),
        TaskOption("fair_key", None, _KEY, _is_key),
    )
}

HANDLERS = frozenset(
    {
        "before_start",
        "on_success",
        "on_failure",
        "on_retry",
        "after_return",
        "shadow_name",
    }
)
"""Methods of a task that a declaration may give as functions taking the task first."""

_TUPLES = frozenset({"autoretry_for", "dont_autoretry_for", "throws"})

_KNOWN_TO_TASKS: Sequence[str] = (
    *TASK_OPTIONS,
    *HANDLERS,
    *IGNORED_TASK_OPTIONS,
)


def checked_task_option(task: str, name: str, value: Any) -> Any:
    """The value of a known option as the task keeps it.

    Raises :class:`TypeError` naming task and option if the value cannot be one of the option.
    """
    option = TASK_OPTIONS[name]
    if value is None:
        # None is "not set", as in Celery; for max_retries it means no limit.
        return None if name == "max_retries" else option.default
    if not option.accepts(value):
        close = get_close_matches(str(value), option.words, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise TypeError(
            f"Task {task}: the option {name} must be {option.expected}, not {value!r}.{hint}"
        )
    if name in _TUPLES:
        return (value,) if isinstance(value, type) else tuple(value)
    if name == "unique_key" and callable(value) and not isinstance(value, staticmethod):
        # As an attribute of a class it would be a method, and take the task first.
        return staticmethod(value)
    return value


def check_unknown_task_option(task: str, name: str, task_attributes: frozenset[str]) -> None:
    """Let an unknown option through as a task attribute, unless it looks like a mistake.

    Raises :class:`TypeError` if the name is nearly that of a known option, or would hide a
    method of the task.
    """
    close = get_close_matches(name, _KNOWN_TO_TASKS, n=1, cutoff=0.8)
    if close:
        raise TypeError(
            f"Task {task}: unknown option {name!r}. Did you mean {close[0]!r}? If it is meant as "
            f"an attribute of your own, give it a name that is less like the option's."
        )
    if name in task_attributes:
        raise TypeError(
            f"Task {task}: the option {name!r} would hide the method or attribute of that name "
            f"which every task has. Choose another name."
        )


def unknown_name(options: Mapping[str, Any], known: frozenset[str] = CALL_OPTIONS) -> str | None:
    """The first name among the options of a call that is neither an option nor a stamp's."""
    if known.issuperset(options):
        return None
    stamps = options.get("stamped_headers") or ()
    return next((name for name in options if name not in known and name not in stamps), None)


def unknown_call_option(where: str, name: str) -> TypeError:
    """The error for an option of a call that does not exist, naming the one that was meant."""
    close = get_close_matches(name, sorted(CALL_OPTIONS), n=1, cutoff=0.7)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return TypeError(
        f"{where} got an unknown option {name!r}.{hint} Options of a call are: "
        f"{', '.join(sorted(CALL_OPTIONS - IGNORED_CALL_OPTIONS.keys()))}."
    )
