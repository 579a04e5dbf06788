"""Every exception and warning of djtasks.

``except DjtasksError`` catches all that djtasks itself raises. Names and meanings are Celery's;
``CeleryError`` and ``CeleryWarning`` are aliases, so that code which catches them keeps working
with another import. Two names are Django's own classes, for convenience:
``ImproperlyConfigured`` and ``OperationalError``.

::

    DjtasksError
    ├── TaskPredicate           raised by a task to steer the worker; not failures
    │   ├── Retry
    │   ├── Ignore
    │   └── Reject
    ├── TaskError
    │   ├── NotRegistered       (also a KeyError)
    │   ├── AlreadyRegistered
    │   ├── QueueNotFound       (also a KeyError)
    │   ├── InvalidTaskError
    │   ├── DuplicateTaskId
    │   ├── NotUnique
    │   ├── EncodeError         (also a TypeError)
    │   │   └── PayloadTooLarge
    │   ├── DecodeError         (also a ValueError)
    │   │   └── InstanceGone
    │   ├── TimeoutError        (not the builtin)
    │   ├── MaxRetriesExceededError
    │   ├── TaskRevokedError
    │   ├── ChordError
    │   └── IncompleteStream
    ├── SoftTimeLimitExceeded
    ├── TimeLimitExceeded
    ├── WorkerLostError
    ├── Terminated
    ├── SecurityError
    ├── ScheduleError           (also a ValueError)
    └── BackendError
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.core.exceptions import ImproperlyConfigured
from django.db.utils import OperationalError

if TYPE_CHECKING:
    from djtasks.result import AsyncResult

__all__ = [
    "AlreadyRegistered",
    "AlwaysEagerIgnored",
    "BackendError",
    "CeleryError",
    "CeleryWarning",
    "ChordError",
    "DecodeError",
    "DjtasksError",
    "DjtasksWarning",
    "DuplicateTaskId",
    "DuplicateTaskNameWarning",
    "EncodeError",
    "Ignore",
    "ImproperlyConfigured",
    "IncompleteStream",
    "InstanceGone",
    "InvalidTaskError",
    "MaxRetriesExceededError",
    "NotRegistered",
    "NotUnique",
    "OperationalError",
    "PayloadTooLarge",
    "QueueNotFound",
    "Reject",
    "Retry",
    "ScheduleError",
    "SecurityError",
    "SoftTimeLimitExceeded",
    "TaskError",
    "TaskPredicate",
    "TaskRevokedError",
    "Terminated",
    "TimeLimitExceeded",
    "TimeoutError",
    "WorkerLostError",
]


class DjtasksError(Exception):
    """Base class of all errors of djtasks."""


CeleryError = DjtasksError


# -- what a task raises to steer the worker -------------------------------------------------------


class TaskPredicate(DjtasksError):
    """Base class of what a task raises to say how it ends; never retried, never a failure."""


class Retry(TaskPredicate):
    """The task is to run again. Raised by ``Task.retry()``.

    Args:
        message: text that replaces the one made from ``exc`` and ``when``.
        exc: the exception that asked for the retry, or its ``repr``.
        when: seconds from now, or an aware datetime.
        is_eager: the task runs in its caller's process.
        sig: the signature that will run.
    """

    def __init__(
        self,
        message: str | None = None,
        exc: BaseException | str | None = None,
        when: float | datetime | None = None,
        is_eager: bool = False,
        sig: Any = None,
    ) -> None:
        self.message = message
        self.exc: BaseException | None = None if isinstance(exc, str) else exc
        #: The text of ``exc``, which outlives it when the Retry is pickled.
        self.excs: str | None = exc if isinstance(exc, str) else _repr_or_none(exc)
        self.when = when
        self.is_eager = is_eager
        self.sig = sig
        #: What goes back into the queue; set by ``Task.retry()`` for whoever runs the task.
        self.plan: Any = None
        super().__init__(message, exc, when)

    def humanize(self) -> str:
        """Return ``"in 180s"`` or ``"at 2030-01-01 00:00:00+00:00"``."""
        if isinstance(self.when, int | float):
            return f"in {self.when}s"
        return f"at {self.when}"

    def __str__(self) -> str:
        if self.message:
            return self.message
        if self.excs:
            return f"Retry {self.humanize()}: {self.excs}"
        return f"Retry {self.humanize()}"

    def __reduce__(self) -> tuple[Any, ...]:
        return self.__class__, (self.message, self.exc or self.excs, self.when)


class Ignore(TaskPredicate):
    """The task ends here and no state is stored for it: it has stored its own, or wants none."""


class Replaced(Ignore):
    """Another signature has taken the task's place; raised by ``Task.replace()``."""


class Reject(TaskPredicate):
    """The task refuses its message.

    Args:
        reason: anything that explains it; shown in the log.
        requeue: put the message back into its queue. Otherwise it ends as FAILURE.
    """

    def __init__(self, reason: Any = None, requeue: bool = False) -> None:
        self.reason = reason
        self.requeue = requeue
        super().__init__(reason, requeue)

    def __repr__(self) -> str:
        return f"reject requeue={self.requeue}: {self.reason}"


# -- what is wrong with a task --------------------------------------------------------------------


class TaskError(DjtasksError):
    """Base class of errors about one task."""


class NotRegistered(KeyError, TaskError):
    """No task of this name is known in this process. ``args[0]`` is the name."""

    def __repr__(self) -> str:
        # A KeyError shows only the quoted key: too little to act on.
        name = self.args[0] if self.args else None
        return f"Task of kind {name!r} never registered, please make sure it's imported."

    __str__ = __repr__


class AlreadyRegistered(TaskError):
    """A task of this name is known already."""


class QueueNotFound(KeyError, TaskError):
    """The queue is not in ``TASK_QUEUES`` and ``TASK_CREATE_MISSING_QUEUES`` is off."""

    def __str__(self) -> str:
        return str(self.args[0]) if len(self.args) == 1 else super().__str__()


class InvalidTaskError(TaskError):
    """The message is not one that a task can be run from."""


class DuplicateTaskId(TaskError):
    """A message with the caller's ``task_id`` is queued or running."""


class NotUnique(TaskError):
    """A unique task was not enqueued, for another has its key (``unique_on_conflict="raise"``).

    Args:
        message: what is said of it.
        key: the key, as it is stored.
        task_id: the id of the task that has it.
    """

    def __init__(self, message: str = "", key: str = "", task_id: str = "") -> None:
        self.key = key
        self.task_id = task_id
        super().__init__(message, key, task_id)

    def __str__(self) -> str:
        return str(self.args[0])

    @classmethod
    def of(cls, task: str, key: str, task_id: str) -> Self:
        """The error for a call of a task whose key is another's."""
        return cls(f"Task {task} is not unique: {task_id} has the key {key}.", key, task_id)

    @property
    def result(self) -> AsyncResult[Any]:
        """The handle of the task that has the key."""
        from djtasks.result import AsyncResult

        return AsyncResult(self.task_id)


class EncodeError(TaskError, TypeError):
    """An argument or a result cannot be stored; the text says which part of it and why.

    Raised before any SQL: the caller's transaction is still usable.
    """


class PayloadTooLarge(EncodeError):
    """The arguments or the result are larger than the setting ``MAX_PAYLOAD`` allows."""


class DecodeError(TaskError, ValueError):
    """Stored arguments or a stored result cannot be turned back into Python objects."""


class InstanceGone(DecodeError):
    """A model instance that was passed as an argument no longer exists.

    Args:
        model: the model's label, such as ``"shop.order"``.
        pk: its primary key.
        using: the database alias it was looked for on.
    """

    def __init__(self, model: str, pk: Any = None, using: str | None = None) -> None:
        self.model = model
        self.pk = pk
        self.using = using
        super().__init__(model, pk, using)

    def __str__(self) -> str:
        where = "" if self.using is None else f" in database {self.using!r}"
        return (
            f"{self.model} with primary key {self.pk!r} no longer exists{where}. It was passed as "
            "an instance and deleted before the task began; pass its key and handle its absence "
            "in the task if that is expected."
        )


class TimeoutError(TaskError):
    """The result was not there in time. Not the builtin of the same name."""


class MaxRetriesExceededError(TaskError):
    """The task asked for one more retry than it may have.

    Args:
        task_args: the positional arguments of the task.
        task_kwargs: its keyword arguments.
    """

    def __init__(
        self,
        *args: Any,
        task_args: Sequence[Any] = (),
        task_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.task_args = list(task_args)
        self.task_kwargs = dict(task_kwargs or {})
        super().__init__(*args)


class TaskRevokedError(TaskError):
    """The task was cancelled, so it has no result. ``args[0]``: revoked, expired or terminated."""


class ChordError(TaskError):
    """A task of a chord's header failed, so that its body cannot run."""


class IncompleteStream(TaskError):
    """A result that was asked for is not there yet."""


# -- what happens to a running task ---------------------------------------------------------------


class SoftTimeLimitExceeded(DjtasksError):
    """Raised inside a task when its soft time limit passes. It may be caught to clean up."""

    def __str__(self) -> str:
        return f"SoftTimeLimitExceeded{self.args}"


class TimeLimitExceeded(DjtasksError):
    """The task was killed at its hard time limit. ``args[0]`` is the limit in seconds."""

    def __str__(self) -> str:
        return f"TimeLimitExceeded{self.args}"


class WorkerLostError(DjtasksError):
    """The process that ran the task ended before the task did."""


class Terminated(DjtasksError):
    """The task was stopped while it ran because somebody asked for it."""


# -- around tasks ---------------------------------------------------------------------------------


class SecurityError(DjtasksError):
    """A stored row asks for something that is never done for a row, such as calling a function."""


class ScheduleError(DjtasksError, ValueError):
    """A schedule of periodic tasks is none: a field out of range, a day that never comes."""


class BackendError(DjtasksError):
    """A result could not be read or written."""


# -- warnings -------------------------------------------------------------------------------------


class DjtasksWarning(UserWarning):
    """Base class of all warnings of djtasks."""


CeleryWarning = DjtasksWarning


class AlwaysEagerIgnored(DjtasksWarning):
    """``send_task`` enqueues although ``TASK_ALWAYS_EAGER`` is set: the name may be unknown."""


class DuplicateTaskNameWarning(DjtasksWarning):
    """Two different callables are declared under one task name; the first one stays."""


def _repr_or_none(exc: BaseException | None) -> str | None:
    if exc is None:
        return None
    try:
        return repr(exc)
    except Exception as error:
        # A broken __repr__ of a user's exception must not hide that exception.
        return f"<unrepresentable {type(exc).__qualname__}: {type(error).__qualname__}>"
