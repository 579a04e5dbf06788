"""One task whole: what happened to it, what it was given, what came of it, what belongs to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from djtasks.browser.record import Record

__all__ = ["Event", "TaskView", "task"]

Kind = Literal["enqueued", "due", "started", "retried", "lost", "attempt", "ended"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a task, or will. ``duration`` is in seconds.

    ``kind`` is what: ``enqueued``; ``due`` (its time came, or comes); ``started`` (the run that is
    under way, or that ended); ``attempt`` (a run that was not the last; ``state`` is RETRY, LOST or
    the end of a run before it was retried by hand); ``ended``.
    """

    kind: Kind
    state: str
    at: datetime | None
    number: int | None = None
    """The attempt that it belongs to, from 1."""
    worker: str | None = None
    duration: float | None = None
    exception: str | None = None
    error: str | None = None
    is_yet_to_come: bool = False


@dataclass(frozen=True, slots=True)
class TaskView:
    """Everything about one task.

    ``record.payload`` is whole, read from its own row if it is large. ``options``, ``headers`` and
    ``meta`` are what JSON makes of them, or the text itself where it is none; ``meta`` is what
    ``update_state()`` stored of a task that has not ended. ``result`` is a JSON text: the return
    value of a task that succeeded.
    """

    record: Record
    events: list[Event]
    options: Any
    headers: Any
    meta: Any
    result: str | None
    exception: str | None
    error: str | None
    """What the exception said, whole."""
    traceback: str | None
    parent: Record | None
    children: list[Record]
    siblings: list[Record]
    """Tasks whose results come together with its own."""
    history: list[Record]
    """The last runs of the same task that ended, the oldest first."""
    more_children: bool
    more_siblings: bool
    is_in_workflow: bool


def task(id: UUID, *, using: str | None = None) -> TaskView | None:
    """Everything about a task; None if there is neither a message nor a result."""
    raise NotImplementedError
