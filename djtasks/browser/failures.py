"""Failures by task and exception: one bad deploy is one line with a count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from djtasks.browser.counts import Capped

__all__ = ["DAY", "Failures", "failures"]

DAY: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Failures:
    """What failed in the same way: how often, when first and when last."""

    task: str
    exception: str
    count: Capped
    first: datetime
    last: datetime
    query: str
    """The search that finds these and no others."""


def failures(
    window: timedelta = DAY, *, limit: int = 50, using: str | None = None
) -> list[Failures]:
    """What failed within ``window``, by task and exception, the latest first, at most ``limit``."""
    raise NotImplementedError
