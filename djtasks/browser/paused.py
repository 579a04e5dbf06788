"""The tasks that are paused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from djtasks.browser.counts import LIMIT, Capped, capped
from djtasks.browser.filter import Filter
from djtasks.browser.reading import fetch
from djtasks.browser.sql import load

__all__ = ["PausedTask", "paused_tasks"]

PAUSED_TASKS = load("paused_tasks")

MOST: Final = 100
"""Paused tasks that are shown, those that were paused first."""


@dataclass(frozen=True, slots=True)
class PausedTask:
    """One task that nobody begins: since when, why, and how many of its messages wait for that."""

    name: str
    paused_at: datetime
    reason: str
    held: Capped

    @property
    def query(self) -> str:
        """The search that finds what is held."""
        return Filter(states=("READY",), task=f"={self.name}").to_query()


def paused_tasks(*, using: str | None = None) -> list[PausedTask]:
    """All of them, in the order in which they were paused."""
    return [
        PausedTask(name, paused_at, reason, capped(held, LIMIT))
        for name, paused_at, reason, held in fetch(
            PAUSED_TASKS, {"limit": LIMIT, "most": MOST}, using=using, few=True
        )
    ]
