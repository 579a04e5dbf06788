"""Tasks that the tests run."""

from __future__ import annotations

import time

from djtasks import shared_task


@shared_task
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@shared_task
def sleep(seconds: float) -> float:
    """Block for a while."""
    time.sleep(seconds)
    return seconds


@shared_task
def fail(text: str) -> None:
    """Raise."""
    raise ValueError(text)
