"""A task as lists and pages show it, whichever table it is in."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

__all__ = ["PREVIEW", "Record", "records"]

PREVIEW: Final = 2_000
"""Characters of a payload that a record of a list has."""


@dataclass(frozen=True, slots=True)
class Record:
    """One task, queued, running or ended. Spans of time are in seconds.

    ``state`` is READY, SCHEDULED, WAITING, RUNNING or RETRY (it waits for its next attempt) while
    it is queued, and Celery's or the task's own once it has ended. ``stored_state`` is what
    ``update_state()`` said of a task that has not ended.

    ``payload`` is JSON, ``[args, kwargs]``, and cut to :data:`PREVIEW` characters in lists; it is
    None where ``argsrepr`` or ``kwargsrepr`` say what is to be shown instead. ``error`` is one line
    of what the exception said.
    """

    id: UUID
    custom_id: str | None
    task: str
    state: str
    stored_state: str | None
    queue: str
    priority: int
    payload: str | None
    payload_id: UUID | None
    argsrepr: str | None
    kwargsrepr: str | None
    retries: int
    deliveries: int
    enqueued_at: datetime | None
    eta: datetime | None
    expires: datetime | None
    started_at: datetime | None
    date_done: datetime | None
    runtime: float | None
    worker: str | None
    worker_id: int | None
    exception: str | None
    error: str | None
    root_id: UUID | None
    parent_id: UUID | None
    after: UUID | None
    feeds: UUID | None
    position: int | None
    unknown_since: datetime | None
    """When a worker first met it without knowing its task."""

    @property
    def is_queued(self) -> bool:
        """Whether it has not ended: there is a message."""
        raise NotImplementedError

    @property
    def is_running(self) -> bool:
        """Whether a worker has claimed it."""
        return self.state == "RUNNING"

    @property
    def is_hidden(self) -> bool:
        """Whether its caller asked for its arguments not to be shown as they are."""
        return self.argsrepr is not None or self.kwargsrepr is not None

    @property
    def max_retries(self) -> int | None:
        """How often it is retried at most: None for no limit, or if its task is not known here."""
        raise NotImplementedError


def records(ids: Iterable[UUID], *, using: str | None = None) -> list[Record]:
    """The tasks with these ids, in their order and in one query; those that are gone are left out."""
    raise NotImplementedError
