"""What the filters beside the list offer: the values that lately came up most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from djtasks.browser.reading import reading
from djtasks.browser.sql import load

__all__ = ["MOST", "Offered", "offered"]

QUEUE_NAMES = load("queue_names")
TASK_NAMES = load("task_names")
EXCEPTION_NAMES = load("exception_names")
WORKER_NAMES = load("worker_names")

MOST: Final = 12
"""Values of each kind."""

RECENT: Final = 500
"""Failures, the latest, whose exceptions are offered."""


@dataclass(frozen=True, slots=True)
class Offered:
    """Names for the filters: queues and workers by name, tasks and exceptions by how often."""

    queues: list[str]
    tasks: list[str]
    workers: list[str]
    exceptions: list[str]


def offered(*, using: str | None = None) -> Offered:
    """The queues and workers there are, what ended in the last day, what failed last."""
    with reading(using, few=True) as cursor:

        def names(statement: str, **more: int) -> list[str]:
            cursor.execute(statement, {"limit": MOST, **more})
            return [name for (name,) in cursor.fetchall()]

        return Offered(
            queues=names(QUEUE_NAMES),
            tasks=names(TASK_NAMES),
            workers=names(WORKER_NAMES),
            exceptions=names(EXCEPTION_NAMES, recent=RECENT),
        )
