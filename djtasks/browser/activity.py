"""What ended, how long it ran and how long queues were, over time: the numbers of the charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from django.utils.translation import gettext_lazy as _

__all__ = ["Activity", "Point", "QueueActivity", "Range", "TaskActivity", "activity"]


class Range(Enum):
    """A time back from now, and the spans that it is shown in. The value is what a URL says."""

    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"

    @property
    def span(self) -> int:
        """Seconds of one point: a minute, ten minutes, an hour."""
        return {"1h": 60, "24h": 600, "7d": 3600}[self.value]

    @property
    def points(self) -> int:
        """How many points there are."""
        return {"1h": 60, "24h": 144, "7d": 168}[self.value]

    @property
    def label(self) -> Any:
        """The range in words."""
        return {"1h": _("1 hour"), "24h": _("24 hours"), "7d": _("7 days")}[self.value]


@dataclass(frozen=True, slots=True)
class Point:
    """One span of time. Times are in seconds; None where nothing ran or nobody looked."""

    at: datetime
    succeeded: int
    failed: int
    retried: int
    p50: float | None
    p95: float | None
    ready: int | None
    latency: float | None

    @property
    def ended(self) -> int:
        """How many ended."""
        return self.succeeded + self.failed


@dataclass(frozen=True, slots=True)
class TaskActivity:
    """What became of one task in the range; ``ended`` and ``failures`` are by point."""

    task: str
    succeeded: int
    failed: int
    retried: int
    p50: float | None
    p95: float | None
    longest: float | None
    spark: Sequence[int]
    spark_failed: Sequence[int]
    query: str

    @property
    def ended(self) -> int:
        """How many ended."""
        return self.succeeded + self.failed


@dataclass(frozen=True, slots=True)
class QueueActivity:
    """What became of the tasks of one queue in the range."""

    queue: str
    succeeded: int
    failed: int
    retried: int
    spark: Sequence[int]
    spark_failed: Sequence[int]

    @property
    def ended(self) -> int:
        """How many ended."""
        return self.succeeded + self.failed

    @property
    def failure_rate(self) -> float | None:
        """The part of what ended that failed, 0 to 1; None if nothing ended."""
        return self.failed / self.ended if self.ended else None


@dataclass(frozen=True, slots=True)
class Activity:
    """Points from the oldest to now, without gaps, and what ended by task and by queue.

    Tasks come with those that ended most often first, queues by name.
    """

    range: Range
    points: list[Point]
    tasks: list[TaskActivity]
    queues: list[QueueActivity]


def activity(
    range: Range = Range.HOUR,
    *,
    queue: str | None = None,
    task: str | None = None,
    now: datetime | None = None,
    using: str | None = None,
) -> Activity:
    """What happened in a range until now; of one queue or of one task if they are named."""
    raise NotImplementedError
