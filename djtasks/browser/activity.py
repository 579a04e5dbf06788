"""What ended, how long it ran and how long queues were, over time: the numbers of the charts."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from djtasks.browser.filter import Filter, findable
from djtasks.browser.reading import reading
from djtasks.browser.runtimes import percentile
from djtasks.browser.sql import load

__all__ = ["Activity", "Point", "QueueActivity", "Range", "TaskActivity", "activity"]

ACTIVITY = load("activity")
TASK_ACTIVITY = load("task_activity")
DEPTHS = load("depths")

TASKS: Final = 25
"""Tasks that are told apart: those that ended most often."""


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

    def beginnings(self, now: datetime) -> list[int]:
        """When the spans until now began, in seconds since 1970; the last has not ended."""
        last = int(now.timestamp()) // self.span * self.span
        return list(range(last - (self.points - 1) * self.span, last + 1, self.span))


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
    """What became of one task in the range. ``spark`` and ``spark_failed`` are by point.

    ``query`` is the search that finds it; empty if it would be too long for a search.
    """

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

    Tasks come with those that ended most often first, queues by name. If there are more than
    :data:`TASKS`, the run times of the points are of those alone; all are counted.
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
    """What happened in a range until now; of one queue or of one task if they are named.

    The last point is of the span that has not ended. Tasks are no part of how long queues were:
    of one task alone that is not known.
    """
    times = range.beginnings(now or datetime.now(UTC))
    given = {
        "span": range.span,
        "since": times[0],
        "until": times[-1] + range.span,
        "queue": queue,
        "task": task,
    }
    depths: dict[int, tuple[int, float]] = {}
    with reading(using) as cursor:
        cursor.execute(ACTIVITY, given)
        totals = cursor.fetchall()
        cursor.execute(TASK_ACTIVITY, {**given, "tasks": _busiest(totals)})
        rows = cursor.fetchall()
        if task is None:
            cursor.execute(DEPTHS, given)
            depths = {at: (ready, latency) for at, ready, latency in cursor.fetchall()}
    by_time: defaultdict[int, _Sum] = defaultdict(lambda: _Sum.along(()))
    by_task: defaultdict[str, _Sum] = defaultdict(lambda: _Sum.along(times))
    by_queue: defaultdict[str, _Sum] = defaultdict(lambda: _Sum.along(times))
    for at, its_queue, its_task, *numbers in totals:
        if its_task is None:
            place = (at - times[0]) // range.span
            by_time[times[place]].count(*numbers)
            by_queue[its_queue].count(*numbers, place=place)
    for at, its_task, *numbers, longest, told in rows:
        place, runtimes = (at - times[0]) // range.span, json.loads(told)
        by_time[times[place]].measure(longest, runtimes)
        by_task[its_task].measure(longest, runtimes)
        by_task[its_task].count(*numbers, place=place)
    return Activity(
        range=range,
        points=[_point(at, by_time[at], *depths.get(at, (None, None))) for at in times],
        tasks=sorted(
            (_task(name, sums, range) for name, sums in by_task.items()),
            key=lambda one: (-one.ended, one.task),
        ),
        queues=[_queue(name, sums) for name, sums in sorted(by_queue.items())],
    )


def _busiest(totals: list[tuple[Any, ...]]) -> list[str]:
    """The tasks that ended most often, of all sums."""
    of_tasks = [row for row in totals if row[2] is not None]
    of_tasks.sort(key=lambda row: (-(row[3] + row[4]), row[2]))
    return [row[2] for row in of_tasks[:TASKS]]


@dataclass(slots=True)
class _Sum:
    """What is added up, and at which of the points it ended."""

    spark: list[int]
    spark_failed: list[int]
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    longest: float = 0.0
    runtimes: dict[str, int] = field(default_factory=dict)

    @classmethod
    def along(cls, times: Sequence[int]) -> _Sum:
        """Nothing yet, at each of these times."""
        return cls([0] * len(times), [0] * len(times))

    def count(self, succeeded: int, failed: int, retried: int, *, place: int | None = None) -> None:
        """Add what ended, at the place of a point."""
        self.succeeded += succeeded
        self.failed += failed
        self.retried += retried
        if place is not None:
            self.spark[place] += succeeded + failed
            self.spark_failed[place] += failed

    def measure(self, longest: float, runtimes: dict[str, int]) -> None:
        """Add how long it ran: the longest of all, and how many in each class."""
        self.longest = max(self.longest, longest)
        sums = self.runtimes
        for number, count in runtimes.items():
            sums[number] = sums.get(number, 0) + count


def _point(at: int, sums: _Sum, ready: int | None, latency: float | None) -> Point:
    return Point(
        at=datetime.fromtimestamp(at, UTC),
        succeeded=sums.succeeded,
        failed=sums.failed,
        retried=sums.retried,
        p50=percentile(sums.runtimes, 0.5),
        p95=percentile(sums.runtimes, 0.95),
        ready=ready,
        latency=latency,
    )


def _task(name: str, sums: _Sum, range: Range) -> TaskActivity:
    return TaskActivity(
        task=name,
        succeeded=sums.succeeded,
        failed=sums.failed,
        retried=sums.retried,
        p50=percentile(sums.runtimes, 0.5),
        p95=percentile(sums.runtimes, 0.95),
        longest=sums.longest if sums.runtimes else None,
        spark=sums.spark,
        spark_failed=sums.spark_failed,
        query=findable(Filter(task=f"={name}", since=range.value).to_query()),
    )


def _queue(name: str, sums: _Sum) -> QueueActivity:
    return QueueActivity(
        queue=name,
        succeeded=sums.succeeded,
        failed=sums.failed,
        retried=sums.retried,
        spark=sums.spark,
        spark_failed=sums.spark_failed,
    )
