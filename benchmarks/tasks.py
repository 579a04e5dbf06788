"""The tasks that are measured: they do as little as a task can."""

from __future__ import annotations

import time

from djtasks import shared_task


@shared_task
def noop(number: int) -> None:
    """Do nothing."""


@shared_task
def arrive(sent: float) -> float:
    """Return how many seconds ago ``sent``, a time of this machine's clock, was."""
    return time.time() - sent
