"""The workers: who they are, what they serve, what they run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

__all__ = ["Run", "WorkerView", "workers"]


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
    raise NotImplementedError
