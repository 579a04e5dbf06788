"""The queues: how long they are, who serves them, what ends in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from djtasks.browser.counts import Capped

__all__ = ["QueueView", "names", "queues"]


@dataclass(frozen=True, slots=True)
class QueueView:
    """One queue. ``latency`` is how many seconds the oldest ready task has waited.

    ``succeeded`` and ``failed`` are of the last hour. ``worker_names`` are the living workers that
    serve it.
    """

    name: str
    ready: Capped
    running: int
    latency: float | None
    succeeded: int
    failed: int
    paused_at: datetime | None
    reason: str
    seen_at: datetime | None
    worker_names: tuple[str, ...]
    query: str
    """The search that finds its tasks."""

    @property
    def ended(self) -> int:
        """How many ended in the last hour."""
        return self.succeeded + self.failed

    @property
    def failure_rate(self) -> float | None:
        """The part of what ended that failed, 0 to 1; None if nothing ended."""
        return self.failed / self.ended if self.ended else None

    @property
    def workers(self) -> int:
        """How many living workers serve it."""
        return len(self.worker_names)


def queues(*, using: str | None = None) -> list[QueueView]:
    """All queues by name: those that were seen, have ready messages, or had some end lately."""
    raise NotImplementedError


def names(*, using: str | None = None) -> list[str]:
    """The names of the queues, for a choice."""
    raise NotImplementedError
