"""Failures by task and exception: one bad deploy is one line with a count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from djtasks.browser.counts import LIMIT, Capped
from djtasks.browser.filter import Filter, findable
from djtasks.browser.reading import fetch
from djtasks.browser.sql import load

__all__ = ["DAY", "Failures", "failures"]

FAILURES = load("failures")

DAY: Final = timedelta(hours=24)

KINDS: Final = 3_000
"""Tasks with an exception that are looked at, however long ago they failed."""

BUDGET: Final = 100_000
"""Failures that are counted in all groups together; a hundred in each are in any case."""


@dataclass(frozen=True, slots=True)
class Failures:
    """What failed in the same way: how often, when first and when last.

    ``exception`` is the name of its class with its module, empty where there was none.
    """

    task: str
    exception: str
    count: Capped
    first: datetime
    last: datetime
    query: str
    """The search that finds these and no others; empty if it would be too long for a search."""


def failures(
    window: timedelta = DAY, *, limit: int = 50, using: str | None = None
) -> list[Failures]:
    """What failed within ``window``, by task and exception, the latest first, at most ``limit``."""
    rows = fetch(
        FAILURES,
        {
            "since": datetime.now(UTC) - window,
            "limit": limit,
            "kinds": KINDS,
            "count": LIMIT,
            "budget": BUDGET,
        },
        using=using,
        few=True,
    )
    return [
        Failures(
            task=task,
            exception=exception or "",
            count=Capped(number, more),
            first=first,
            last=last,
            query=_query(task, exception or "", window),
        )
        for task, exception, number, more, first, last in rows
    ]


def _query(task: str, exception: str, window: timedelta) -> str:
    wanted = Filter(
        states=("FAILURE",),
        task=f"={task}",
        exception=f"={exception}" if exception else "",
        since=_ago(window),
    )
    return findable(wanted.to_query())


def _ago(window: timedelta) -> str:
    """A span of time as a search says it."""
    seconds = round(window.total_seconds())
    return f"{seconds // 3600}h" if seconds % 3600 == 0 else f"{seconds}s"
