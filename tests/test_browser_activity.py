"""What happened over time: sums, percentiles, and no gaps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from djtasks.browser import activity as module
from djtasks.browser.activity import Range, activity
from djtasks.browser.find import Filter
from djtasks.browser.runtimes import class_of
from djtasks.models import Activity, Depth

pytestmark = pytest.mark.usefixtures("empty")

NOW = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)
"""The last minute began at 12:34, the last ten at 12:30, the last hour at 12:00."""

MINUTE = timedelta(minutes=1)


def ran(at: datetime, task: str = "a", queue: str = "celery", **values: Any) -> None:
    """Tasks ended in the minute that begins at this time; ``seconds`` is how long each ran."""
    runtimes: dict[str, int] = {}
    seconds = values.pop("seconds", [])
    for each in seconds:
        number = str(class_of(each))
        runtimes[number] = runtimes.get(number, 0) + 1
    given = {"span": 60, "runtimes": runtimes, "longest": max(seconds, default=0.0), **values}
    Activity.objects.create(at=at, task=task, queue=queue, **given)


def minute(back: int) -> datetime:
    return NOW.replace(second=0) - back * MINUTE


def about(seconds: float) -> Any:
    """A run time that is known by its class."""
    return pytest.approx(seconds, rel=0.12)


@pytest.mark.parametrize(
    ("range", "points", "first", "last"),
    [
        (Range.HOUR, 60, "2026-03-01T11:35", "2026-03-01T12:34"),
        (Range.DAY, 144, "2026-02-28T12:40", "2026-03-01T12:30"),
        (Range.WEEK, 168, "2026-02-22T13:00", "2026-03-01T12:00"),
    ],
)
def test_points_have_no_gaps_and_end_now(range: Range, points: int, first: str, last: str) -> None:
    found = activity(range, now=NOW).points
    assert len(found) == points
    assert [f"{point.at:%Y-%m-%dT%H:%M}" for point in (found[0], found[-1])] == [first, last]
    steps = {after.at - before.at for before, after in pairwise(found)}
    assert steps == {timedelta(seconds=range.span)}
    for point in found:
        assert (point.succeeded, point.failed, point.retried) == (0, 0, 0)
        assert (point.p50, point.p95, point.ready, point.latency) == (None, None, None, None)


def test_what_ended_is_at_its_time() -> None:
    ran(minute(0), succeeded=1)
    ran(minute(5), succeeded=2, failed=3, retried=4)
    ran(minute(5), task="b", succeeded=10)
    ran(minute(59), succeeded=7)
    ran(minute(60), succeeded=100)
    ran(minute(-1), succeeded=100)
    points = activity(now=NOW).points
    counted = {back: point for back, point in enumerate(reversed(points)) if point.ended}
    assert {back: point.succeeded for back, point in counted.items()} == {0: 1, 5: 12, 59: 7}
    assert (counted[5].failed, counted[5].retried, counted[5].ended) == (3, 4, 15)


def test_each_range_has_rows_of_its_own() -> None:
    for span, count in ((60, 1), (600, 2), (3600, 3)):
        ran(NOW.replace(minute=0, second=0), span=span, succeeded=count)
    for range, count in ((Range.HOUR, 1), (Range.DAY, 2), (Range.WEEK, 3)):
        assert sum(point.ended for point in activity(range, now=NOW).points) == count


def test_percentiles_are_of_all_runs_of_a_time_and_of_a_task() -> None:
    ran(minute(1), "fast", seconds=[0.01] * 90, succeeded=90)
    ran(minute(1), "slow", seconds=[2.0] * 10, succeeded=10)
    ran(minute(2), "slow", seconds=[8.0], succeeded=1)
    found = activity(now=NOW)
    point = found.points[-2]
    assert (point.p50, point.p95) == (about(0.01), about(2.0))
    fast, slow = found.tasks
    assert (fast.p50, fast.p95) == (about(0.01), about(0.01))
    assert (slow.p50, slow.p95) == (about(2.0), about(8.0))
    assert (fast.longest, slow.longest) == (0.01, 8.0)


def test_a_task_that_only_was_retried_has_no_run_time() -> None:
    ran(minute(1), retried=1)
    (task,) = activity(now=NOW).tasks
    assert (task.p50, task.p95, task.longest, task.ended, task.retried) == (None, None, None, 0, 1)


def test_tasks_and_queues_have_sums_and_trends() -> None:
    ran(minute(0), "a", "mail", succeeded=1)
    ran(minute(3), "a", "mail", succeeded=2, failed=1)
    ran(minute(3), "a", "bulk", succeeded=4, retried=1)
    ran(minute(3), "b", "bulk", failed=8)
    found = activity(now=NOW)
    assert [task.task for task in found.tasks] == ["a", "b"]
    a, b = found.tasks
    assert (a.succeeded, a.failed, a.retried, a.ended) == (7, 1, 1, 8)
    assert (a.spark[-1], a.spark[-4], sum(a.spark)) == (1, 7, 8)
    assert (b.spark_failed[-4], sum(b.spark_failed), len(b.spark_failed)) == (8, 8, 60)
    bulk, mail = found.queues
    assert (bulk.queue, bulk.ended, bulk.failure_rate) == ("bulk", 12, 8 / 12)
    assert (mail.queue, mail.ended, mail.spark[-4]) == ("mail", 4, 3)


def test_tasks_that_are_not_told_apart_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TASKS", 1)
    ran(minute(1), "often", succeeded=3, seconds=[1.0])
    ran(minute(1), "rare", succeeded=1, failed=1, seconds=[9.0])
    ran(minute(1), "rarer", "mail", succeeded=1)
    found = activity(now=NOW)
    assert [task.task for task in found.tasks] == ["often"]
    assert (found.points[-2].succeeded, found.points[-2].failed) == (5, 1)
    assert found.points[-2].p95 == about(1.0)
    assert {queue.queue: queue.ended for queue in found.queues} == {"celery": 5, "mail": 1}


def test_one_queue_or_one_task_can_be_asked_for() -> None:
    ran(minute(1), "a", "mail", succeeded=1)
    ran(minute(1), "b", "mail", succeeded=2)
    ran(minute(1), "a", "bulk", succeeded=4)
    for asked, count in (({"queue": "mail"}, 3), ({"task": "a"}, 5), ({"queue": "x"}, 0)):
        assert activity(now=NOW, **asked).points[-2].ended == count  # type: ignore[arg-type]


def test_how_long_queues_were_is_the_sum_and_the_longest_wait() -> None:
    Depth.objects.create(span=60, at=minute(2), queue="mail", ready=3, latency=1.5)
    Depth.objects.create(span=60, at=minute(2), queue="bulk", ready=4, latency=9.5)
    Depth.objects.create(span=60, at=minute(1), queue="bulk", ready=0, latency=0.0)
    points = activity(now=NOW).points
    assert (points[-3].ready, points[-3].latency) == (7, 9.5)
    assert (points[-2].ready, points[-2].latency) == (0, 0.0)
    assert points[-1].ready is None
    assert activity(now=NOW, queue="mail").points[-3].ready == 3
    assert activity(now=NOW, task="a").points[-3].ready is None


def test_rows_of_another_hand_count_in_the_minute_that_they_are_in() -> None:
    late = minute(0) + timedelta(seconds=59.9)
    ran(late, succeeded=1, seconds=[1.0])
    Depth.objects.create(span=60, at=late, queue="mail", ready=3, latency=1.5)
    last = activity(now=NOW).points[-1]
    assert (last.succeeded, last.p50, last.ready) == (1, about(1.0), 3)


def test_a_task_is_searched_for_by_its_full_name() -> None:
    ran(minute(1), "my tasks.add", succeeded=1)
    (task,) = activity(now=NOW).tasks
    assert Filter.parse(task.query) == Filter(task="=my tasks.add", since="1h")
