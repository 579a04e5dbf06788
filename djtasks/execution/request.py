"""The request of a running task, and which task runs where.

Attributes and defaults are Celery's (``Task.request``). One context variable holds the running
task of each thread and coroutine.
"""

from __future__ import annotations

import json
import socket
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from djtasks.execution.retry import RetryPlan
    from djtasks.queue.delivery import Delivery
    from djtasks.queue.message import NewMessage, Row
    from djtasks.task import Task

HOSTNAME = socket.gethostname()


def uuid_text(raw: bytes) -> str:
    """The usual text of a UUID given as its 16 bytes."""
    h = raw.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def _iso(epoch: float | None) -> str | None:
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC).isoformat()


class Context:
    """The request of one run of a task: its id, arguments, retries, delivery and relations."""

    id: str | None = None
    args: tuple[Any, ...] | list[Any] | None = None
    kwargs: dict[str, Any] | None = None
    retries: int = 0
    deliveries: int = 0
    called_directly: bool = True
    is_eager: bool = False
    hostname: str | None = None
    task: str | None = None
    eta: str | None = None
    expires: str | None = None
    timelimit: list[float | None] | None = None
    root_id: str | None = None
    parent_id: str | None = None
    group: str | None = None
    group_index: int | None = None
    chord: Any
    chain: list[Any] | None
    callbacks: list[Any] | None = None
    errbacks: list[Any] | None = None
    headers: dict[str, Any] | None = None
    ignore_result: bool = False
    shadow: str | None = None
    origin: str | None = None
    reply_to: str | None = None
    correlation_id: str | None = None
    replaced_task_nesting: int = 0
    stamped_headers: list[str] | None = None
    stamps: dict[str, Any] | None = None
    argsrepr: str | None = None
    kwargsrepr: str | None = None
    logfile: str | None = None
    loglevel: int | None = None
    utc: bool = True
    lang: str = "py"

    delivery: Delivery | None = None
    """The message as it was claimed; None for a direct call."""

    replacement: tuple[NewMessage, list[Row]] | None = None
    """Set by ``replace()``: what the message becomes, and what comes with it."""

    abort: str | None = None
    """Set by ``is_aborted()``: what the task is asked to end as, and knows of."""

    retry_plan: RetryPlan | None = None
    """Set by ``retry()``: what the executor puts back into the queue."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    @classmethod
    def of_delivery(cls, delivery: Delivery, hostname: str) -> Context:
        """The request that a claimed message describes, without its arguments."""
        self = cls.__new__(cls)
        values = self.__dict__
        raw_id = uuid_text(delivery[0])
        values["id"] = delivery.custom_id or raw_id
        values["task"] = delivery.task
        values["retries"] = delivery.retries
        values["deliveries"] = delivery.deliveries
        values["called_directly"] = False
        values["hostname"] = hostname
        values["delivery"] = delivery
        root = delivery.root_id
        values["root_id"] = raw_id if root is None else uuid_text(root)
        if delivery.parent_id is not None:
            values["parent_id"] = uuid_text(delivery.parent_id)
        if delivery.eta is not None:
            values["eta"] = _iso(delivery.eta)
        if delivery.expires is not None:
            values["expires"] = _iso(delivery.expires)
        if delivery.position is not None and delivery.feeds is not None:
            values["group"] = uuid_text(delivery.feeds)
            values["group_index"] = delivery.position
        if delivery.options is not None:
            values.update(self._from_options(json.loads(delivery.options)))
        return self

    @staticmethod
    def _from_options(options: dict[str, Any]) -> dict[str, Any]:
        values = dict(options)
        if "link" in values:
            values["callbacks"] = values.pop("link")
        if "link_error" in values:
            values["errbacks"] = values.pop("link_error")
        return values

    @property
    def feeds(self) -> bool:
        """Whether others of a workflow may wait for its result."""
        return self.delivery is not None and self.delivery.feeds is not None

    @property
    def delivery_info(self) -> dict[str, Any]:
        """Celery's dictionary; ``routing_key`` is the name of the queue."""
        given = self.__dict__.get("delivery_info_values")
        if given is not None:
            return dict(given)
        delivery = self.delivery
        if delivery is None:
            return {"is_eager": True} if self.is_eager else {}
        return {
            "exchange": "",
            "routing_key": delivery.queue,
            "priority": -delivery.rank,
            "redelivered": delivery.deliveries > 0,
        }

    @property
    def time_limit(self) -> float | None:
        """The hard limit in seconds that the call asked for."""
        return self.timelimit[0] if self.timelimit else None

    @property
    def soft_time_limit(self) -> float | None:
        """The soft limit in seconds that the call asked for."""
        return self.timelimit[1] if self.timelimit else None

    @property
    def taskset(self) -> str | None:
        """Celery's older name of ``group``."""
        return self.group

    @property
    def properties(self) -> dict[str, Any]:
        """Message properties, of which a row has only the correlation id."""
        return {"correlation_id": self.correlation_id or self.id}

    @property
    def children(self) -> list[Any]:
        """The results of calls that the task made while it ran (its trail)."""
        found: list[Any] = self.__dict__.setdefault("_children", [])
        return found

    def __getattr__(self, name: str) -> Any:
        # What few tasks ask for is read from the rows only then.
        if name not in ("chain", "chord"):
            raise AttributeError(f"The request has no attribute {name!r}.")
        found = None
        if self.feeds and self.delivery is not None:
            from djtasks.canvas import ahead

            found = getattr(ahead, f"{name}_of")(self.delivery)
        self.__dict__[name] = found
        return found

    def get(self, key: str, default: Any = None) -> Any:
        """The attribute of this name, or a default."""
        return getattr(self, key, default)

    def update(self, *args: Any, **values: Any) -> None:
        """Set attributes as ``dict.update`` does."""
        self.__dict__.update(*args, **values)

    def clear(self) -> None:
        """Reset every attribute to its default."""
        self.__dict__.clear()

    def __repr__(self) -> str:
        shown = {k: v for k, v in self.__dict__.items() if not k.startswith("_")}
        return f"<Context: {shown!r}>"


class Frame:
    """A running task, its request, and the frame that it was called from."""

    __slots__ = ("parent", "request", "task")

    def __init__(self, task: Task[..., Any], request: Context, parent: Frame | None) -> None:
        self.task = task
        self.request = request
        self.parent = parent


_current: ContextVar[Frame | None] = ContextVar("djtasks_current", default=None)


def current_frame() -> Frame | None:
    """The innermost running task of this thread or coroutine."""
    return _current.get()


def frames() -> Iterator[Frame]:
    """All running tasks of this thread or coroutine, the innermost first."""
    frame = _current.get()
    while frame is not None:
        yield frame
        frame = frame.parent


def push(task: Task[..., Any], request: Context) -> Token[Frame | None]:
    """Make a task the running one; give the token to :func:`pop`."""
    return _current.set(Frame(task, request, _current.get()))


def pop(token: Token[Frame | None]) -> None:
    """Undo :func:`push`."""
    _current.reset(token)


def drop_innermost() -> None:
    """Undo the innermost push without its token (``Task.pop_request``)."""
    frame = _current.get()
    if frame is not None:
        _current.set(frame.parent)


def request_of(task: Task[..., Any]) -> Context:
    """The innermost request of this task; outside of any run a fresh one with the defaults."""
    frame = _current.get()
    while frame is not None:
        if frame.task is task:
            return frame.request
        frame = frame.parent
    return Context()
