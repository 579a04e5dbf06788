"""Changing when and where queued tasks run."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from djtasks.control.outcome import Outcome


def run_now(ids: Sequence[UUID | str], *, using: str | None = None) -> Outcome:
    """Make scheduled tasks ready at once.

    Passed over: what is ready already, waits for other tasks, runs, or has ended.
    """
    raise NotImplementedError


def move(
    ids: Sequence[UUID | str],
    *,
    queue: str | None = None,
    priority: int | None = None,
    using: str | None = None,
) -> Outcome:
    """Give tasks that no worker has begun another queue, another priority, or both.

    Larger priorities run first. A task keeps its age among those of its priority. Passed over:
    what runs or has ended. Raises :class:`ValueError` for neither, and for a queue or a priority
    that cannot be.
    """
    raise NotImplementedError
