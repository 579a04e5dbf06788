"""Failures, grouped: one line for what failed in the same way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from djtasks.browser import failures as module
from djtasks.browser.counts import Capped
from djtasks.browser.failures import failures
from djtasks.browser.filter import LONGEST
from djtasks.browser.find import Filter, find
from tests.admin_pages import ended

pytestmark = pytest.mark.usefixtures("empty")

HOUR = timedelta(hours=1)


def ago(hours: float) -> datetime:
    return datetime.now(UTC) - hours * HOUR


def failed(exception: str | None = "ValueError", **values: Any) -> None:
    """A task has failed; without an exception where none is known."""
    ended(state="FAILURE", exception=exception, **values)


def test_nothing_failed() -> None:
    ended()
    ended(state="REVOKED", exception="TaskRevokedError")
    assert failures() == []


def test_what_failed_in_the_same_way_is_one_line_the_latest_first() -> None:
    for hours in (5, 3, 1):
        failed(exception="ValueError", date_done=ago(hours))
    failed(exception="OSError", date_done=ago(2))
    failed(exception="ValueError", task="shop.other", date_done=ago(4))
    assert [(one.task, one.exception, one.count.value) for one in failures()] == [
        ("tests.testapp.tasks.add", "ValueError", 3),
        ("tests.testapp.tasks.add", "OSError", 1),
        ("shop.other", "ValueError", 1),
    ]
    first = failures()[0]
    assert first.first == pytest.approx(ago(5), abs=timedelta(minutes=1))
    assert first.last == pytest.approx(ago(1), abs=timedelta(minutes=1))


def test_every_task_exception_and_none_has_its_line() -> None:
    kinds = [(task, name) for task in ("a", "b", "c") for name in ("KeyError", "OSError", None)]
    for hours, (task, name) in enumerate(kinds):
        failed(exception=name, task=task, date_done=ago(hours))
        failed(exception=name, task=task, date_done=ago(hours + 0.5))
    found = [(one.task, one.exception or None, one.count.value) for one in failures()]
    assert found == [(task, name, 2) for task, name in kinds]


def test_a_failure_that_has_not_ended_hides_no_other() -> None:
    failed(date_done=ago(1))
    failed(date_done=None)
    (one,) = failures()
    assert one.count == Capped(1)
    assert one.last == pytest.approx(ago(1), abs=timedelta(minutes=1))


def test_what_failed_before_the_window_is_not_counted() -> None:
    failed(date_done=ago(30))
    failed(exception="OSError", date_done=ago(30))
    failed(exception="OSError", date_done=ago(2))
    (one,) = failures()
    assert (one.exception, one.count) == ("OSError", Capped(1))
    assert [one.count for one in failures(timedelta(hours=1))] == []
    assert {one.exception for one in failures(timedelta(days=2))} == {"OSError", "ValueError"}


def test_failures_without_an_exception_are_a_group_of_their_own() -> None:
    for task in ("a", "b"):
        failed(task=task, exception=None)
        failed(task=task, exception="KeyError")
        failed(task=task, exception=None)
    found = {(one.task, one.exception): one.count.value for one in failures()}
    assert found == {("a", ""): 2, ("a", "KeyError"): 1, ("b", ""): 2, ("b", "KeyError"): 1}


@pytest.mark.parametrize("window", [timedelta(hours=24), timedelta(minutes=90)])
def test_the_search_finds_these_and_no_others(window: timedelta) -> None:
    for task in ("shop.add", "add", "my shop.add"):
        for exception in (None, "errors.ValueError", "ValueError", "my errors: ValueError"):
            failed(task=task, exception=exception)
            failed(task=task, exception=exception, date_done=ago(25))
    ended(task="add")
    found = failures(window)
    assert len(found) == 12
    for one in found:
        (record,) = find(Filter.parse(one.query)).records
        assert (record.task, record.exception or "") == (one.task, one.exception)


def test_a_group_that_no_search_could_name_has_none() -> None:
    failed(task="x" * LONGEST, exception="KeyError")
    failed(task="shop.pack", exception="E" * LONGEST)
    failed(task="shop.pack", exception="KeyError")
    found = {(one.task[:1], one.exception[:1]): bool(one.query) for one in failures()}
    assert found == {("x", "K"): False, ("s", "E"): False, ("s", "K"): True}


def test_counting_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 150)
    for number in range(151):
        failed(date_done=ago(number / 100))
    assert [one.count for one in failures()] == [Capped(150, more=True)]
    monkeypatch.setattr(module, "BUDGET", 10)
    assert [one.count for one in failures()] == [Capped(100, more=True)]


def test_the_latest_groups_are_kept_if_there_are_too_many() -> None:
    for number in range(7):
        failed(task=f"task_{number}", date_done=ago(number))
    assert [one.task for one in failures(limit=3)] == ["task_0", "task_1", "task_2"]


def test_it_is_one_statement() -> None:
    failed()
    with CaptureQueriesContext(connection) as queries:
        failures()
    assert sum("djtasks_" in query["sql"] for query in queries.captured_queries) == 1
