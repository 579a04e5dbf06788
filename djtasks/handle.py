"""What is known of a task by its id: read from its rows, each time anew until it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from djtasks import states
from djtasks.codec import decode_call, decode_exception, decode_result
from djtasks.exceptions import DecodeError
from djtasks.ids import to_uuid
from djtasks.queue.state import Ended, TaskState, read_state

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Self

    from djtasks.app import App

R = TypeVar("R")


class Handle(Generic[R]):
    """The id of a task, and what its rows tell.

    ``id`` is a text or a UUID; ``parent`` the result of the task before it in a chain.
    ``backend``, ``task_name`` and ``app`` are taken for Celery's sake and not needed. Raises
    :class:`ValueError` for ``id=None``. Two handles are equal if their ids are, and equal to the
    id itself.
    """

    __slots__ = ("__weakref__", "_cache", "_id", "_key", "_name", "ignored", "parent")

    _is_stored = True
    """Whether the database is asked what became of it."""

    def __init__(
        self,
        id: str | UUID,
        backend: object = None,
        task_name: str | None = None,
        app: object = None,
        parent: Any = None,
    ) -> None:
        if id is None:
            raise ValueError("AsyncResult requires a task id, not None.")
        key, text = to_uuid(id)
        self._key = key
        self._id = text
        self._name = task_name
        self._cache: TaskState | Ended | str | None = None
        self.parent = parent
        self.ignored = False

    @classmethod
    def of(cls, key: UUID, text: str | None, name: str, ignored: bool) -> Self:
        """The handle of a call that was just made; ``text`` is an id of the caller's own."""
        self = cls.__new__(cls)
        self._key = key
        self._id = text
        self._name = name
        self._cache = None
        self.parent = None
        self.ignored = ignored
        return self

    # What it is

    @property
    def id(self) -> str:
        """The task id, as the caller gave it or as it was made."""
        text = self._id
        if text is None:
            text = self._id = str(self._key)
        return text

    task_id = id

    @property
    def key(self) -> UUID:
        """The primary key of the task's rows."""
        return self._key

    @property
    def app(self) -> App:
        """The app object, :data:`djtasks.app`."""
        from djtasks.app import app

        return app

    # What is known of it; read anew each time until the task has ended

    @property
    def state(self) -> str:
        """Its state; PENDING also for an id that nobody knows."""
        return self._end() or self._read().state

    status = state

    @property
    def result(self) -> Any:
        """The return value, or the exception of a task that failed or is retried.

        For a custom state its meta data; for STARTED the process and host; else None.
        """
        return value_of(self._told())

    info = result

    @property
    def traceback(self) -> str | None:
        """The traceback of a failure or retry, as text."""
        known = self._told()
        return known.traceback if isinstance(known, Ended) or known.is_current else None

    @property
    def date_done(self) -> datetime | None:
        """When the task ended."""
        known = self._read()
        return known.date_done if known.is_current else None

    @property
    def name(self) -> str | None:
        """The name of the task."""
        return self._read().task or self._name

    @property
    def args(self) -> list[Any] | None:
        """The positional arguments. Model instances in them are fetched."""
        payload = self._read().payload
        return None if payload is None else list(decode_call(payload)[0])

    @property
    def kwargs(self) -> dict[str, Any] | None:
        """The keyword arguments. Model instances in them are fetched."""
        payload = self._read().payload
        return None if payload is None else decode_call(payload)[1]

    @property
    def worker(self) -> str | None:
        """The name of the worker that runs or ran it."""
        return self._read().worker

    @property
    def retries(self) -> int | None:
        """How many times it has been retried."""
        return self._read().retries

    @property
    def queue(self) -> str | None:
        """The queue it is or was in."""
        return self._read().queue

    def ready(self) -> bool:
        """Whether the task has ended, in whichever way."""
        return self.state in states.READY_STATES

    def successful(self) -> bool:
        """Whether the task returned."""
        return self.state == states.SUCCESS

    def failed(self) -> bool:
        """Whether the task ended with an exception."""
        return self.state == states.FAILURE

    def exists(self) -> bool:
        """Whether the task is known: it is queued, it runs, or a state of it is stored."""
        return self._read().exists

    # As a value

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Handle):
            return self.id == other.id
        if isinstance(other, str):
            return self.id == other
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.id}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.id, None, self._name, None, self.parent)

    def __copy__(self) -> Self:
        return type(self)(self.id, None, self._name, None, self.parent)

    # How it finds out

    def _end(self) -> str | None:
        """The state in which it is known to have ended. Nothing is read."""
        known = self._cache
        return known if known is None or isinstance(known, str) else known.state

    def _told(self) -> TaskState | Ended:
        """Its state and its result: what was read of many at once, or all of it."""
        known = self._cache
        return known if isinstance(known, Ended) else self._read()

    def _read(self) -> TaskState:
        """All that is known of it."""
        known = self._cache
        if isinstance(known, TaskState):
            return known
        read = read_state([self._key])[self._key]
        if read.state in states.READY_STATES:
            self._cache = read
        elif isinstance(known, str):
            # It had ended, and its result was deleted before it was read.
            self._cache = None
        return read


def value_of(known: TaskState | Ended) -> Any:
    """The result, as :attr:`Handle.result` gives it."""
    state = known.state
    if isinstance(known, TaskState) and not known.is_current:
        if state == states.STARTED:
            return {"pid": known.worker_pid, "hostname": known.worker}
        return None
    if known.result is None:
        return None
    if state in states.EXCEPTION_STATES:
        try:
            return decode_exception(known.result)
        except DecodeError:
            # A task may store such a state with meta data of its own.
            return decode_result(known.result)
    return decode_result(known.result)
