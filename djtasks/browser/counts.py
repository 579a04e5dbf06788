"""How many tasks there are of each kind, counted to a limit, so that it costs the same for ever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["LIMIT", "Capped", "Counts", "counts"]

LIMIT: Final = 10_000
"""What is counted to."""


@dataclass(frozen=True, slots=True)
class Capped:
    """A number, and whether there are ``more``."""

    value: int
    more: bool = False

    def __str__(self) -> str:
        return f"{self.value:,}{'+' if self.more else ''}"

    def __bool__(self) -> bool:
        return self.value > 0


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of the overview.

    ``scheduled`` are those that wait for their time, retries among them. ``failed`` are of the last
    24 hours. ``latency`` is how long, in seconds, the oldest ready task has waited; None if none
    does. ``running`` and ``places`` are what the living workers say.
    """

    ready: Capped
    scheduled: Capped
    waiting: Capped
    running: int
    places: int
    failed: Capped
    latency: float | None
    workers: int


def counts(*, using: str | None = None) -> Counts:
    """Count now."""
    raise NotImplementedError
