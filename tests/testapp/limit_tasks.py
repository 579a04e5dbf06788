"""Limited tasks that only a worker with this module in ``IMPORTS`` knows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.db import connection

from djtasks import Task, shared_task
from tests.testapp.tasks import jot


def _run(journal: str, key: str, name: str, seconds: float | str) -> str:
    """Take so long, or until a file is there."""
    jot(journal, f"begin {key} {name}")
    if isinstance(seconds, str):
        while not Path(seconds).exists():
            time.sleep(0.01)
    else:
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
    self: Task[..., Any],
    journal: str,
    key: str,
    name: str,
    seconds: float | str = 0.0,
    fails: int = 0,
    countdown: float = 0.05,
) -> str:
    """One of each key runs, in the order of the calls; ``fails`` times it asks for a retry."""
    _run(journal, key, name, seconds)
    if self.request.retries < fails:
        raise self.retry(countdown=countdown)
    jot(journal, f"done {key} {name}")
    return name


@shared_task(name="held_open", order_key="{key}")
def held_open(journal: str, key: str, gate: str) -> None:
    """Run until a file is there."""
    jot(journal, f"begin {key} open")
    while not Path(gate).exists():
        time.sleep(0.005)


@shared_task(name="twenty_a_second", rate_limit="20/s")
def twenty_a_second(journal: str, name: str) -> None:
    """Start every 50 ms."""
    jot(journal, f"{time.monotonic()} {name}")


@shared_task(name="unlimited")
def unlimited(journal: str, name: str) -> None:
    """Nothing limits it."""
    jot(journal, f"free all {name}")


@shared_task(name="numbered", order_key="numbers:{key}")
def numbered(journal: str, key: str, name: str, seconds: float | str = 0.0) -> str:
    """One of each key runs, whichever task it is of: ``numbered_too`` has the same keys."""
    return _run(journal, key, name, seconds)


@shared_task(name="numbered_too", order_key="numbers:{key}", queue="second")
def numbered_too(journal: str, key: str, name: str, seconds: float = 0.0) -> str:
    """``numbered`` by another name, in another queue."""
    return _run(journal, key, name, seconds)


@shared_task(name="one_of_each", concurrency_limit=1, concurrency_key="one:{key}")
def one_of_each(journal: str, key: str, name: str, seconds: float | str = 0.0) -> str:
    """One of each key runs, in no order; it is acknowledged early."""
    return _run(journal, key, name, seconds)


@shared_task(name="two_fast", concurrency_limit=2, rate_limit="20/s")
def two_fast(journal: str, name: str, seconds: float = 0.0) -> None:
    """At most two run, and they start every 50 ms."""
    jot(journal, f"{time.monotonic()} {name}")
    _run(journal, "all", name, seconds)


@shared_task(name="ten_of_a_worker", rate_limit="10/s", rate_limit_scope="worker")
def ten_of_a_worker(journal: str, name: str) -> None:
    """Start every 100 ms in each worker."""
    jot(journal, f"{time.monotonic()} {name}")


@shared_task(name="atomic_in_order", order_key="{key}", atomic=True)
def atomic_in_order(journal: str, key: str, name: str, seconds: float = 0.0) -> str:
    """One of each key runs, and its end is a part of its own transaction."""
    return _run(journal, key, name, seconds)


@shared_task(name="after_another", order_key="after:{value}")
def after_another(value: str, journal: str, name: str, seconds: float = 0.0) -> str:
    """Its key is what the task before it in a chain returned."""
    return _run(journal, value, name, seconds)


@shared_task(bind=True, name="becomes_ordered")
def becomes_ordered(self: Task[..., Any], journal: str, key: str, name: str) -> Any:
    """Become a task that keeps an order."""
    raise self.replace(numbered.si(journal, key, name, 0.02))


@shared_task(name="fails_in_order", order_key="{key}")
def fails_in_order(journal: str, key: str, name: str) -> None:
    """Fail."""
    _run(journal, key, name, 0.01)
    raise ValueError(name)


@shared_task(name="errback_in_order", order_key="numbers:k")
def errback_in_order(task_id: str) -> float:
    """Keep the order of ``numbered``; it is given the id of what failed."""
    return time.time()


@shared_task(
    name="counted",
    concurrency_limit=2,
    concurrency_key="counted:{key}",
    acks_late=True,
    reject_on_worker_lost=True,
    max_deliveries=100,
)
def counted(journal: str, key: str, name: str, seconds: float = 0.0) -> None:
    """Note if a third one of the key runs.

    Each takes one of three locks of its session, which the server frees when the process is gone.
    """
    with connection.cursor() as cursor:
        for place in range(3):
            cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s), %s)", (key, place))
            if cursor.fetchone()[0]:
                break
        time.sleep(seconds)
        if place == 2:
            jot(journal, f"many {key} {name}")
        cursor.execute("SELECT pg_advisory_unlock(hashtext(%s), %s)", (key, place))
    jot(journal, f"done {key} {name}")


@shared_task(bind=True, name="turns_away", order_key="{key}", max_retries=1)
def turns_away(self: Task[..., Any], journal: str, key: str, name: str) -> str:
    """Retry once, with another key among the arguments."""
    if not self.request.retries:
        raise self.retry(args=(journal, "another", name), countdown=0.2)
    return _run(journal, key, name, 0.0)
