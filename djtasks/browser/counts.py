"""How many tasks there are of each kind, counted to a limit, so that it costs the same for ever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.utils.formats import number_format

from djtasks.browser.fleet import workers
from djtasks.browser.reading import fetch
from djtasks.browser.sql import load
from djtasks.browser.waits import waits

__all__ = ["LIMIT", "Capped", "Counts", "capped", "counts"]

COUNTS = load("counts")

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
    does. ``running`` and ``places`` are what the living workers say.
    """

    ready: Capped
    scheduled: Capped
    waiting: Capped
    blocked: Capped
    running: int
    places: int
    failed: Capped
    latency: float | None
    workers: int


def counts(*, using: str | None = None) -> Counts:
    """Count now."""
    ((ready, scheduled, waiting, blocked, failed),) = fetch(
        COUNTS, {"limit": LIMIT}, using=using, few=True
    )
    alive = [worker for worker in workers(using=using) if worker.is_alive]
    return Counts(
        ready=capped(ready, LIMIT),
        scheduled=capped(scheduled, LIMIT),
        waiting=capped(waiting, LIMIT),
        blocked=capped(blocked, LIMIT),
        running=sum(worker.busy for worker in alive),
        places=sum(worker.concurrency for worker in alive),
        failed=capped(failed, LIMIT),
        latency=max(waits(using=using).values(), default=None),
        workers=len(alive),
    )
