"""The workers: who they are, what they serve, what they run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from djtasks.browser.reading import fetch
from djtasks.browser.record import loaded
from djtasks.browser.sql import load

__all__ = ["Run", "WorkerView", "workers"]

logger = logging.getLogger("djtasks.browser")

WORKERS = load("workers")


@dataclass(frozen=True, slots=True)
class Run:
    """What one place of a worker runs, and for how many seconds."""

    id: UUID
    task: str
    since: datetime
    seconds: float
    slot: int | None
    pid: int | None


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker. ``age`` is that of its heartbeat in seconds, ``memory`` is in bytes.

    It ``is_alive`` while its lease holds. ``queues`` is empty if it serves all but the excluded.
    """

    id: int
    hostname: str
    pid: int
    pool: str
    concurrency: int
    busy: int
    queues: tuple[str, ...]
    excluded_queues: tuple[str, ...]
    version: str
    is_alive: bool
    quiet: bool
    stopping: bool
    memory: int | None
    started_at: datetime
    heartbeat: datetime
    age: float
    running: tuple[Run, ...]

    @property
    def share(self) -> int:
        """How much of it is busy, in per cent."""
        return min(100, round(100 * self.busy / self.concurrency)) if self.concurrency else 0

    def serves(self, queue: str) -> bool:
        """Whether it takes messages from this queue."""
        return queue in self.queues if self.queues else queue not in self.excluded_queues


def workers(*, using: str | None = None) -> list[WorkerView]:
    """All workers by name, those that do not answer included until somebody gives them up."""
    return [_worker(row) for row in fetch(WORKERS, {}, using=using, few=True)]


def _worker(row: tuple[Any, ...]) -> WorkerView:
    *told, queues, excluded, orders, running, now = row
    given = dict(zip(_COLUMNS, told, strict=True))
    ordered = loaded(orders)
    return WorkerView(
        **given,
        queues=tuple(queues or ()),
        excluded_queues=tuple(excluded or ()),
        stopping=isinstance(ordered, dict) and bool(ordered.get("stop")),
        running=tuple(_runs(loaded(running), now)),
    )


def _runs(told: Any, now: datetime) -> Iterator[Run]:
    """What a worker has written of its places; another version of it may write something else."""
    if timezone.is_naive(now):
        # With USE_TZ = False the database's times come as the project's own.
        now = timezone.make_aware(now)
    for entry in told if isinstance(told, list) else ():
        try:
            since = datetime.fromtimestamp(float(entry["since"]), UTC)
            yield Run(
                id=UUID(entry["id"]),
                task=str(entry["task"]),
                since=since,
                seconds=max((now - since).total_seconds(), 0.0),
                slot=entry.get("slot"),
                pid=entry.get("pid"),
            )
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
            logger.warning("A worker says that it runs something that cannot be read: %r.", entry)


_COLUMNS = (
    "id",
    "hostname",
    "pid",
    "pool",
    "concurrency",
    "busy",
    "version",
    "is_alive",
    "quiet",
    "memory",
    "started_at",
    "heartbeat",
    "age",
)
