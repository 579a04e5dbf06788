"""(m): how long the database works for each page of the task browser.

The pages are the admin's own, asked for as a browser would, on a large site. What counts is the
time that its statements take, from sending them to the last row; their permissions and sessions
are among them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection as database
from django.test import Client
from django.urls import reverse

from benchmarks import bare, past
from benchmarks.measure import BenchmarkError, Measure, Plan, Report

RESULTS = 2_000_000
QUEUED = 200_000

LIMIT = 100.0
"""Milliseconds that the database may work for a page."""


@dataclass
class Clock:
    """Adds up, in milliseconds, what statements take."""

    spent: float = 0.0

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        """Run a statement. psycopg has all rows of it when it returns."""
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.spent += 1000 * (time.perf_counter() - began)


@dataclass
class Page:
    """A page and the rounds that it was asked for: database and whole time, in milliseconds."""

    name: str
    url: str
    spent: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)

    def take(self, client: Client) -> None:
        """Ask for it once. Raises :class:`BenchmarkError` if it does not come."""
        clock, began = Clock(), time.perf_counter()
        with database.execute_wrapper(clock):
            response = client.get(self.url)
        if response.status_code != 200:
            raise BenchmarkError(f"{self.url} gave {response.status_code}.")
        self.whole.append(1000 * (time.perf_counter() - began))
        self.spent.append(clock.spent)


def pages(plan: Plan) -> Report:
    """Every page, once in each round."""
    with bare.connect() as connection:
        examples = past.fill(
            connection, plan.count(RESULTS, least=2000), plan.count(QUEUED, least=1000)
        )
        try:
            shown = list(_pages(examples))
            with _signed_in() as client:
                for page in shown:
                    # The first time templates are compiled, and addresses found.
                    page.take(client)
                    page.spent.clear()
                    page.whole.clear()
                for _round in range(plan.rounds):
                    for page in shown:
                        page.take(client)
        finally:
            past.empty(connection)
    report = Report()
    for page in shown:
        report.at_most(report.figure(page.name, "ms", page.spent), LIMIT)
    overview = shown[0]
    report.figure("the whole overview, drawn", "ms", overview.whole)
    return report


def _pages(examples: past.Examples) -> Iterator[Page]:
    overview = reverse("admin:djtasks_overview_changelist")
    tasks = reverse("admin:djtasks_taskrecord_changelist")
    yield Page("overview", overview)
    yield Page("overview of 24 hours", f"{overview}?range=24h")
    yield Page("overview of 7 days", f"{overview}?range=7d")
    yield Page("tasks", tasks)
    for name, query in (
        ("what failed", "state:FAILURE"),
        ("a failure of a task", "state:FAILURE+task:task_7+exception:KeyError"),
        ("a queue", "queue:mail"),
        ("an argument", "kwargs.order_id:1000"),
        ("part of a name", "ask_42"),
        ("what runs", "state:RUNNING"),
        ("what waits", "state:WAITING"),
        ("part of an error", "error:lost"),
        ("what is not there", "task:nobody"),
    ):
        yield Page(f"tasks: {name}", f"{tasks}?q={query}")
    yield Page("a failed task", reverse("admin:djtasks_taskrecord_change", args=[examples.failed]))
    yield Page(
        "a task of a workflow", reverse("admin:djtasks_taskrecord_change", args=[examples.member])
    )
    yield Page("workers", reverse("admin:djtasks_worker_changelist"))
    yield Page("queues", reverse("admin:djtasks_queue_changelist"))


@contextmanager
def _signed_in() -> Iterator[Client]:
    """Somebody who may see and do everything."""
    user = get_user_model().objects.create_superuser("benchmark")
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    try:
        yield client
    finally:
        client.logout()
        user.delete()


MEASURES = [Measure("m", "pages of the task browser", pages)]
