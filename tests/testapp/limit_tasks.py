"""Limited tasks that only a worker with this module in ``IMPORTS`` knows."""

from __future__ import annotations

import time
from typing import Any

from djtasks import Task, shared_task
from tests.testapp.tasks import jot


def _run(journal: str, key: str, name: str, seconds: float) -> str:
    jot(journal, f"begin {key} {name}")
    time.sleep(seconds)
    jot(journal, f"end {key} {name}")
    return name


@shared_task(
    name="three_at_once",
    concurrency_limit=3,
    acks_late=True,
    reject_on_worker_lost=True,
    max_deliveries=50,
)
def three_at_once(journal: str, key: str, name: str, seconds: float = 0.0) -> str:
    """At most three of these run."""
    return _run(journal, "all", name, seconds)


@shared_task(
    name="two_of_a_key",
    concurrency_limit=2,
    concurrency_key="account:{key}",
    acks_late=True,
    reject_on_worker_lost=True,
    max_deliveries=50,
)
def two_of_a_key(journal: str, key: str, name: str, seconds: float = 0.0) -> str:
    """At most two of each key run."""
    return _run(journal, key, name, seconds)


@shared_task(
    bind=True,
    name="in_order",
    order_key=lambda journal, key, *rest, **named: key,
    acks_late=True,
    reject_on_worker_lost=True,
    max_deliveries=50,
    max_retries=5,
)
def in_order(
    self: Task[..., Any], journal: str, key: str, name: str, seconds: float = 0.0, fails: int = 0
) -> str:
    """One of each key runs, in the order of the calls; ``fails`` times it asks for a retry."""
    _run(journal, key, name, seconds)
    if self.request.retries < fails:
        raise self.retry(countdown=0.05)
    jot(journal, f"done {key} {name}")
    return name


@shared_task(name="twenty_a_second", rate_limit="20/s")
def twenty_a_second(journal: str, name: str) -> None:
    """Start every 50 ms."""
    jot(journal, f"{time.monotonic()} {name}")


@shared_task(name="unlimited")
def unlimited(journal: str, name: str) -> None:
    """Nothing limits it."""
    jot(journal, f"free all {name}")
