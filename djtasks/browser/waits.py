"""How long what is ready has waited for a worker."""

from __future__ import annotations

from typing import Final

from djtasks.browser.reading import fetch
from djtasks.browser.sql import load

__all__ = ["waits"]

WAITS = load("waits")

RANKS: Final = 50
"""Priorities that are looked at in each queue, the highest first."""


def waits(*, using: str | None = None) -> dict[str, float]:
    """How many seconds the oldest ready task has waited, for each queue that has one.

    Where a task waited for others, its time counts from their end, if that is known.
    """
    return {
        queue: max(0.0, seconds)
        for queue, seconds in fetch(WAITS, {"ranks": RANKS}, using=using, few=True)
    }
