"""The tasks that are measured: they do as little as a task can."""

from __future__ import annotations

import time
from collections.abc import Sized
from pathlib import Path

from djtasks import shared_task


@shared_task
def noop(number: object) -> None:
    """Do nothing."""


@shared_task
def arrive(sent: float) -> float:
    """Return how many seconds ago ``sent``, a time of this machine's clock, was."""
    return time.time() - sent


@shared_task
def tick(before: float | None = None) -> float:
    """Return the time of this machine's clock."""
    return time.time()


@shared_task
def gather(results: Sized, path: str) -> int:
    """Return how many results there are, and leave a line in a file for this run."""
    with Path(path).open("a") as file:
        file.write(f"{len(results)}\n")
    return len(results)


@shared_task(rate_limit="1000000/s")
def often(number: int) -> None:
    """Do nothing, at a rate that it never reaches."""


@shared_task(concurrency_limit=3, concurrency_key="{key}")
def few(key: int) -> None:
    """Do nothing, three at once of each key."""


@shared_task(fair_key="{key}")
def in_turn(key: int) -> None:
    """Do nothing, one of each key in turn."""


@shared_task(order_key="{key}")
def lined_up(key: int) -> None:
    """Do nothing, one at a time of each key."""


@shared_task(unique=True)
def once(number: int) -> None:
    """Do nothing, one at a time of each number."""
