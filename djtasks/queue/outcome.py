"""What became of one run of a message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from djtasks.queue.message import NewMessage, Row


class Disposal(IntEnum):
    """What happens to the message row."""

    END = 0
    """It is deleted; the state is stored unless results are ignored."""
    RETRY = 1
    """It goes back to the queue for another try."""
    RELEASE = 2
    """It goes back to the queue as it was."""
    ENDED = 3
    """Its end is committed already, together with the task's own writes."""
    REPLACE = 4
    """It becomes another task, which takes over its id and its place in a workflow."""


@dataclass(slots=True)
class Outcome:
    """One run's end: what is stored, and what happens to the message.

    ``stored`` says whether the state is written at all. ``result`` and ``children`` are JSON
    texts, ``exception`` is the class name of an error. ``retval`` and ``error`` are the live
    objects, for callers in the same process. ``messages`` are enqueued in the commit that ends
    the task, and ``replacement`` is what its message becomes then. ``filled`` are queues that an
    end which is committed already has filled.
    """

    disposal: Disposal
    state: str
    stored: bool = True
    result: str | None = None
    traceback: str | None = None
    exception: str | None = None
    runtime: float | None = None
    children: str | None = None
    retval: Any = None
    error: BaseException | None = None
    again: dict[str, Any] | None = None
    messages: list[Row] | None = None
    replacement: NewMessage | None = None
    filled: list[str] | None = None
    delay: float = 0.0
    lost_deliveries: int = 0
