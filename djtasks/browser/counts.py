"""How many tasks there are of each kind, counted to a limit, so that it costs the same for ever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.formats import number_format

from djtasks.browser.reading import reading
from djtasks.browser.sql import load

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

    from djtasks.browser.fleet import WorkerView
    from djtasks.browser.queues import QueueView

__all__ = ["LIMIT", "Capped", "Counts", "capped", "counts"]

COUNTS = load("counts")
READY = load("ready")

LIMIT: Final = 10_000
"""What is counted to."""


@dataclass(frozen=True, slots=True)
class Capped:
    """A number, and whether there are ``more``."""

    value: int
    more: bool = False

    def __str__(self) -> str:
        return f"{number_format(self.value, force_grouping=True)}{'+' if self.more else ''}"

    def __bool__(self) -> bool:
        return self.value > 0


def capped(counted: int, limit: int) -> Capped:
    """What was counted to one more than a limit."""
    return Capped(min(counted, limit), counted > limit)


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of the overview.

    ``scheduled`` are those that wait for their time, retries among them, ``blocked`` those that a
    limit does not let through yet. ``failed`` are of the last
    24 hours. ``latency`` is how long, in seconds, the oldest ready task has waited; None if none
    does. ``workers`` are the living ones.
    """

    ready: Capped
    scheduled: Capped
    waiting: Capped
    blocked: Capped
    failed: Capped
    latency: float | None
    workers: int


def counts(
    queues: list[QueueView], workers: list[WorkerView], *, using: str | None = None
) -> Counts:
    """Count now. ``queues`` and ``workers`` are as just read, for they have counted a part."""
    with reading(using, few=True) as cursor:
        cursor.execute(COUNTS, {"limit": LIMIT})
        ((scheduled, waiting, blocked, failed, held),) = cursor.fetchall()
        # What is held by the pause of its task is counted with no queue.
        ready = _ready(cursor, queues) + held
    return Counts(
        ready=capped(ready, LIMIT),
        scheduled=capped(scheduled, LIMIT),
        waiting=capped(waiting, LIMIT),
        blocked=capped(blocked, LIMIT),
        failed=capped(failed, LIMIT),
        latency=max((one.latency for one in queues if one.latency is not None), default=None),
        workers=sum(worker.is_alive for worker in workers),
    )


def _ready(cursor: CursorWrapper, queues: list[QueueView]) -> int:
    """How many are ready, at most one more than the limit.

    Where the queues were counted to their ends, or beyond the limit together, that is known. It is
    not where one is long among many, each of which was counted to its part of what may be.
    """
    known = sum(queue.ready.value for queue in queues)
    if known > LIMIT or not any(queue.ready.more for queue in queues):
        return known
    cursor.execute(READY, {"limit": LIMIT})
    ((number,),) = cursor.fetchall()
    return int(number)
