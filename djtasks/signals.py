"""What happens to tasks and workers, as Django signals with Celery's names and arguments.

A receiver is a function that accepts ``**kwargs``::

    @task_failure.connect
    def tell(sender, task_id, exception, **kwargs): ...

    @task_failure.connect(sender=send_invoice)      # or sender="shop.tasks.send_invoice"
    def tell(sender, task_id, exception, **kwargs): ...

Whatever a receiver raises is logged to ``djtasks.signals`` and goes no further: a receiver cannot
break a task or a worker. The one exception is ``setup_logging``, where an error must be seen.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, overload

from asgiref.sync import async_to_sync
from django.dispatch import Signal

from djtasks.exceptions import SoftTimeLimitExceeded

__all__ = [
    "TaskSignal",
    "after_setup_logger",
    "after_setup_task_logger",
    "after_task_publish",
    "beat_embedded_init",
    "beat_init",
    "before_task_publish",
    "celeryd_after_setup",
    "celeryd_init",
    "heartbeat_sent",
    "setup_logging",
    "task_failure",
    "task_internal_error",
    "task_postrun",
    "task_prerun",
    "task_received",
    "task_rejected",
    "task_retry",
    "task_revoked",
    "task_success",
    "task_unknown",
    "worker_before_create_process",
    "worker_init",
    "worker_process_init",
    "worker_process_shutdown",
    "worker_ready",
    "worker_shutdown",
    "worker_shutting_down",
]

logger = logging.getLogger("djtasks.signals")

_Receiver = TypeVar("_Receiver", bound=Callable[..., Any])

#: Django matches senders by ``id()``. Here the object that was connected first stands for all that
#: are equal to it. It is kept, so that its id cannot become that of another object.
_connected_senders: dict[Hashable, object] = {}

#: Async receivers that run in a loop of somebody else, kept until they end.
_running: set[asyncio.Task[None]] = set()


def _identity(sender: object) -> Hashable:
    """Return what makes two senders the same one: a task's name, or the object itself."""
    name = getattr(sender, "name", None)
    if isinstance(name, str):
        return name
    try:
        hash(sender)
    except TypeError:
        return id(sender)
    return sender


def _accepts_keywords(receiver: Callable[..., Any]) -> bool:
    # Django has such a function, but its cache would keep receivers that are held weakly.
    try:
        parameters = inspect.signature(receiver).parameters.values()
    except ValueError:  # some builtins do not tell
        return True
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


class TaskSignal(Signal):
    """A Django signal whose senders match by equality and whose receivers cannot break a task.

    Args:
        name: the name under which this module exports it.
        arguments: the names of the keyword arguments that receivers get beside ``sender``.
    """

    def __init__(self, name: str, *arguments: str) -> None:
        super().__init__()
        self.name = name
        self.arguments = arguments

    def __repr__(self) -> str:
        return f"<TaskSignal: {self.name}({', '.join(self.arguments)})>"

    @overload  # type: ignore[override]
    def connect(
        self,
        receiver: _Receiver,
        sender: object = None,
        weak: bool = True,
        dispatch_uid: Hashable | None = None,
    ) -> _Receiver: ...

    @overload
    def connect(
        self,
        receiver: None = None,
        sender: object = None,
        weak: bool = True,
        dispatch_uid: Hashable | None = None,
    ) -> Callable[[_Receiver], _Receiver]: ...

    def connect(
        self,
        receiver: Callable[..., Any] | None = None,
        sender: object = None,
        weak: bool = True,
        dispatch_uid: Hashable | None = None,
    ) -> Any:
        """Call ``receiver`` when the signal is sent; also a decorator, bare or with arguments.

        Args:
            receiver: a function or method, ``async`` too, that accepts ``**kwargs``.
            sender: a task, or a task's name; ``None`` for every sender.
            weak: forget the receiver when nothing else refers to it.
            dispatch_uid: connect only one receiver of this id.

        Returns:
            ``receiver``, or a decorator when none is given.

        Raises:
            TypeError: ``receiver`` is not callable.
            ValueError: ``receiver`` does not accept ``**kwargs``.
        """
        if receiver is None:

            def decorate(function: _Receiver) -> _Receiver:
                return self.connect(function, sender, weak, dispatch_uid)

            return decorate
        if not callable(receiver):
            raise TypeError(f"A receiver of {self.name} must be callable, not {receiver!r}.")
        if not _accepts_keywords(receiver):
            raise ValueError(
                f"The receiver {receiver!r} of {self.name} must accept **kwargs: more arguments "
                "may be sent in later versions."
            )
        if sender is not None:
            sender = _connected_senders.setdefault(_identity(sender), sender)
        super().connect(receiver, sender, weak, dispatch_uid)
        self._welcome(receiver)
        return receiver

    def _welcome(self, receiver: Callable[..., Any]) -> None:
        """Do what is done for a new receiver: nothing."""

    def disconnect(
        self,
        receiver: Callable[..., Any] | None = None,
        sender: object = None,
        dispatch_uid: Hashable | None = None,
    ) -> bool:
        """Undo a ``connect()`` with the same arguments; return whether there was one."""
        sender = self._connected(sender)
        return super().disconnect(receiver, sender, dispatch_uid)

    def emit(self, sender: object, **named: Any) -> None:
        """Call every receiver of ``sender``; log what they raise.

        Returns at once when nothing is connected: this is on the path of every task. An async
        receiver runs to its end before this returns, except where an event loop runs in this
        thread: there it is scheduled on that loop.
        """
        if not self.receivers:
            return
        receivers, async_receivers = self._live_receivers(sender)
        for receiver in receivers:
            try:
                receiver(signal=self, sender=sender, **named)
            except SoftTimeLimitExceeded:
                # Not the receiver's: the limit of the task that caused the signal has passed.
                raise
            except Exception as error:
                self._log_robust_failure(receiver, error)
        if not async_receivers:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            async_to_sync(self._call_all)(async_receivers, sender, named)
        else:
            task = loop.create_task(self._call_all(async_receivers, sender, named))
            _running.add(task)
            task.add_done_callback(_running.discard)

    async def _call_all(
        self, receivers: list[Callable[..., Any]], sender: object, named: dict[str, Any]
    ) -> None:
        for receiver in receivers:
            try:
                await receiver(signal=self, sender=sender, **named)
            except Exception as error:
                self._log_robust_failure(receiver, error)

    def _log_robust_failure(self, receiver: Callable[..., Any], err: Exception) -> None:
        name = getattr(receiver, "__qualname__", None) or repr(receiver)
        logger.error("Signal receiver %s of %s raised: %r", name, self.name, err, exc_info=err)

    def _live_receivers(self, sender: object) -> tuple[list[Any], list[Any]]:
        # Every way of sending a signal passes here; receivers still get the sender itself.
        return super()._live_receivers(self._connected(sender))

    @staticmethod
    def _connected(sender: object) -> object:
        if sender is None:
            return None
        return _connected_senders.get(_identity(sender), sender)


class AppSignal(TaskSignal):
    """A signal of the app, sent once, when Django has loaded its apps.

    A receiver that is connected later is called at once: what it waits for has happened.
    """

    def __init__(self, name: str, *arguments: str) -> None:
        super().__init__(name, *arguments)
        self._sent: tuple[object, dict[str, Any]] | None = None

    def _welcome(self, receiver: Callable[..., Any]) -> None:
        if self._sent is not None:
            sender, named = self._sent
            late = TaskSignal(self.name, *self.arguments)
            late.connect(receiver)
            late.emit(sender, **named)

    def emit(self, sender: object, **named: Any) -> None:
        """Call every receiver, now and of later."""
        self._sent = (sender, named)
        super().emit(sender, **named)


# -- publishing; the sender is the task's name ----------------------------------------------------

before_task_publish = TaskSignal(
    "before_task_publish",
    "body",
    "exchange",
    "routing_key",
    "headers",
    "properties",
    "declare",
    "retry_policy",
)
after_task_publish = TaskSignal("after_task_publish", "headers", "body", "exchange", "routing_key")

# -- running; the sender is the task --------------------------------------------------------------

task_prerun = TaskSignal("task_prerun", "task_id", "task", "args", "kwargs")
task_postrun = TaskSignal("task_postrun", "task_id", "task", "args", "kwargs", "retval", "state")
task_success = TaskSignal("task_success", "result", "runtime")
task_failure = TaskSignal(
    "task_failure", "task_id", "exception", "args", "kwargs", "traceback", "einfo"
)
task_retry = TaskSignal("task_retry", "request", "reason", "einfo")
task_revoked = TaskSignal("task_revoked", "request", "terminated", "signum", "expired")
task_internal_error = TaskSignal(
    "task_internal_error",
    "task_id",
    "args",
    "kwargs",
    "request",
    "exception",
    "traceback",
    "einfo",
)

# -- receiving; the sender is the worker ----------------------------------------------------------

task_received = TaskSignal("task_received", "request")
task_rejected = TaskSignal("task_rejected", "message", "exc")
task_unknown = TaskSignal("task_unknown", "message", "exc", "name", "id")

# -- the life of a worker -------------------------------------------------------------------------

celeryd_init = TaskSignal("celeryd_init", "instance", "conf", "options")
celeryd_after_setup = TaskSignal("celeryd_after_setup", "instance", "conf")
worker_init = TaskSignal("worker_init")
worker_before_create_process = TaskSignal("worker_before_create_process")
worker_process_init = TaskSignal("worker_process_init")
worker_process_shutdown = TaskSignal("worker_process_shutdown", "pid", "exitcode")
worker_ready = TaskSignal("worker_ready")
worker_shutting_down = TaskSignal("worker_shutting_down", "sig", "how", "exitcode")
worker_shutdown = TaskSignal("worker_shutdown")
heartbeat_sent = TaskSignal("heartbeat_sent")

# -- logging --------------------------------------------------------------------------------------

setup_logging = TaskSignal("setup_logging", "loglevel", "logfile", "format", "colorize")
after_setup_logger = TaskSignal(
    "after_setup_logger", "logger", "loglevel", "logfile", "format", "colorize"
)
after_setup_task_logger = TaskSignal(
    "after_setup_task_logger", "logger", "loglevel", "logfile", "format", "colorize"
)

# -- periodic tasks -------------------------------------------------------------------------------

beat_init = TaskSignal("beat_init")
beat_embedded_init = TaskSignal("beat_embedded_init")
