"""The queues: how long they are, who serves them, what ends in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from djtasks.browser.counts import LIMIT, Capped
from djtasks.browser.filter import Filter, findable
from djtasks.browser.fleet import WorkerView, workers
from djtasks.browser.reading import reading
from djtasks.browser.sql import load
from djtasks.browser.waits import waits

__all__ = ["QueueView", "queues"]

QUEUES = load("queues")
LENGTHS = load("lengths")
CLAIMED = load("claimed")
BLOCKED = load("blocked_lengths")
LINED = load("lined_lengths")

MOST: Final = 1000
"""Queues that are shown of those that were seen: the paused ones, then the latest seen."""

LINED_BUDGET: Final = 5_000
"""Messages in lines that are counted in all queues together, which reads them."""

BUDGET: Final = 20_000
"""Ready messages that are counted in all queues together; a hundred in each are in any case."""

HEAD: Final = 200
"""Messages at the head of a queue of which claimed ones are looked for; if there are any, among as
many more."""


@dataclass(frozen=True, slots=True)
class QueueView:
    """One queue. ``latency`` is how many seconds the oldest ready task has waited.

    ``blocked`` is how many limits do not let through yet, counted to :data:`BUDGET` in all queues
    together, ``running`` how many messages are claimed; ``succeeded`` and ``failed`` are of the
    last hour. ``worker_names`` are the living workers that take from it: quiet ones do not.
    """

    name: str
    ready: Capped
    blocked: Capped
    running: int
    latency: float | None
    succeeded: int
    failed: int
    paused_at: datetime | None
    reason: str
    seen_at: datetime | None
    worker_names: tuple[str, ...]
    query: str
    """The search that finds its tasks; empty if it would be too long for a search."""

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


def queues(fleet: list[WorkerView] | None = None, *, using: str | None = None) -> list[QueueView]:
    """All queues by name: those that were seen, have messages to run, or had some end lately.

    ``fleet`` are the workers as just read, by whoever shows them too.
    """
    if fleet is None:
        fleet = workers(using=using)
    named = [run.id for worker in fleet for run in worker.running]
    with reading(using) as cursor:
        cursor.execute(QUEUES, {"limit": MOST})
        known = {name: row for name, *row in cursor.fetchall()}
    with reading(using, few=True) as cursor:
        cursor.execute(LENGTHS, {"limit": LIMIT, "budget": BUDGET, "head": HEAD})
        lengths = {name: row for name, *row in cursor.fetchall()}
        cursor.execute(LINED, {"limit": LIMIT, "budget": LINED_BUDGET})
        lined = {name: row for name, *row in cursor.fetchall()}
        cursor.execute(BLOCKED, {"limit": BUDGET})
        blocked = {name: Capped(*row) for name, *row in cursor.fetchall()}
        cursor.execute(CLAIMED, {"ids": named})
        claimed: dict[str, int] = dict(cursor.fetchall())
    waited = waits(using=using)
    found = []
    for name in sorted({*known, *lengths, *lined, *claimed, *blocked}):
        paused_at, reason, seen_at, succeeded, failed = known.get(name, (None, "", None, 0, 0))
        ready, at_head, more = lengths.get(name, (0, 0, False))
        in_lines, line_waits, more_in_lines = lined.get(name, (0, None, False))
        found.append(
            QueueView(
                name=name,
                ready=Capped(ready + in_lines, more or more_in_lines),
                blocked=blocked.get(name, Capped(0)),
                # What has long been claimed may be behind very many that came before it since.
                running=max(at_head, claimed.get(name, 0)),
                latency=_longest(waited.get(name), line_waits),
                succeeded=succeeded,
                failed=failed,
                paused_at=paused_at,
                reason=reason,
                seen_at=seen_at,
                worker_names=_serving(name, fleet),
                query=findable(Filter(queue=name).to_query()),
            )
        )
    return found


def _longest(*seconds: float | None) -> float | None:
    return max((each for each in seconds if each is not None), default=None)


def _serving(queue: str, fleet: list[WorkerView]) -> tuple[str, ...]:
    return tuple(
        worker.hostname
        for worker in fleet
        if worker.is_alive and not (worker.quiet or worker.stopping) and worker.serves(queue)
    )
