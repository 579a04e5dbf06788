"""One task as a list shows it, whatever table it is in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

READY: Final = "READY"
SCHEDULED: Final = "SCHEDULED"
WAITING: Final = "WAITING"
RUNNING: Final = "RUNNING"

LIVE: Final = (READY, SCHEDULED, WAITING, RUNNING)
"""States of a task that has not ended; those of an ended one are Celery's, or the user's own."""

SHOWN: Final = 600
"""Characters of the arguments and of the error that are read for a list."""

LONGEST_OPTIONS: Final = 20_000
"""Characters of a call's options that are read for a list."""


@dataclass(frozen=True, slots=True)
class Record:
    """A task, queued or ended.

    ``state`` is one of :data:`LIVE` or that of the result. ``payload`` is the beginning of the
    arguments' JSON, None if they are stored apart; ``options`` that of the call's rare options,
    None if there are none or too many to read. ``worker`` is the name of the one that runs or ran
    it. ``error`` is the end of the traceback. ``runtime`` is in seconds.
    """

    id: UUID
    custom_id: str | None
    task: str
    state: str
    queue: str
    priority: int
    payload: str | None
    options: str | None
    is_redacted: bool
    retries: int
    deliveries: int
    enqueued_at: datetime | None
    eta: datetime | None
    expires: datetime | None
    started_at: datetime | None
    date_done: datetime | None
    runtime: float | None
    worker: str | None
    exception: str | None
    error_tail: str | None
    root_id: UUID | None
    parent_id: UUID | None
    after: UUID | None
    feeds: UUID | None
    position: int | None

    @property
    def name(self) -> str:
        """The task id as its caller knows it."""
        return self.custom_id or str(self.id)

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.state in LIVE

    @property
    def at(self) -> datetime | None:
        """When the last thing happened that a list is sorted by: its end, or else its call."""
        return self.enqueued_at if self.is_live else self.date_done

    @property
    def attempt(self) -> int:
        """Which attempt this is: the first is 1."""
        return self.retries + 1

    @property
    def wait(self) -> timedelta | None:
        """How long it waited for a worker after it was due; None if it has not begun."""
        if self.started_at is None or self.enqueued_at is None:
            return None
        due = max(self.enqueued_at, self.eta) if self.eta else self.enqueued_at
        return max(self.started_at - due, timedelta())

    @property
    def arguments(self) -> str:
        """The arguments on one line: as the caller wants them shown, or else their JSON."""
        shown = _shown(self.options)
        if shown is not None:
            return shown
        if self.is_redacted:
            return "…"
        return "…" if self.payload is None else call_text(self.payload)

    @property
    def error(self) -> str | None:
        """The exception with its message, on one line; None if there was none."""
        if self.exception is None:
            return None
        lines = (self.error_tail or "").strip().splitlines()
        last = lines[-1].strip() if lines else ""
        # The traceback names the class with its module.
        _, found, message = last.partition(f"{self.exception}: ")
        if found:
            return f"{self.exception}: {message}"
        return self.exception


def _shown(options: str | None) -> str | None:
    """What ``argsrepr`` and ``kwargsrepr`` of the call say, None if neither is there."""
    if options is None:
        return None
    try:
        read: Any = json.loads(options)
        found = [read.get("argsrepr"), read.get("kwargsrepr")]
    except (ValueError, AttributeError, RecursionError):
        return None
    texts = [str(text) for text in found if text is not None]
    return " ".join(texts) if texts else None


def call_text(payload: str) -> str:
    """The JSON of a call as people would write it: ``1, "x", to="y"``; cut where it is cut."""
    try:
        args, kwargs = json.loads(payload)
        parts = [json.dumps(value, ensure_ascii=False) for value in args]
        parts += [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in kwargs.items()]
    except (ValueError, TypeError, AttributeError, RecursionError):
        # It was cut, or somebody wrote the row by hand: shown as it is.
        return payload.removesuffix(",{}]").removeprefix("[[")
    return ", ".join(parts)
