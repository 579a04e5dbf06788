"""A task as lists and pages show it, whichever table it is in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from djtasks.browser.reading import fetch
from djtasks.browser.sql import load

__all__ = ["PREVIEW", "Record", "loaded", "records", "said"]

RECORDS = load("records")

PREVIEW: Final = 2_000
"""Characters of a payload that a record of a list has."""


@dataclass(frozen=True, slots=True)
class Record:
    """One task, queued, running or ended. Spans of time are in seconds.

    ``state`` is READY, SCHEDULED, WAITING, BLOCKED, RUNNING or RETRY (it waits for its next
    attempt) while it is queued, and Celery's or the task's own once it has ended. ``stored_state``
    is what ``update_state()`` said of a task that has not ended.

    ``payload`` is JSON, ``[args, kwargs]``, and cut to :data:`PREVIEW` characters in lists; it is
    None where ``argsrepr`` or ``kwargsrepr`` say what is to be shown instead. ``error`` is one line
    of what the exception said.
    """

    id: UUID
    is_queued: bool
    """Whether it has not ended: there is a message."""
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
    lane: str | None
    """The key that limits how many run at once, or in which order."""
    gate: str | None
    """The lane or the rate that it is blocked by, while it is."""

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
        from djtasks.registry import registry

        known = registry.get(self.task)
        return None if known is None else known.max_retries


def records(
    ids: Iterable[UUID], *, preview: int = PREVIEW, using: str | None = None
) -> list[Record]:
    """The tasks with these ids, in their order and in one query; those that are gone are left out.

    ``preview`` is how many characters of their payloads are read.
    """
    given = list(ids)
    if not given:
        return []
    return [_record(row) for row in fetch(RECORDS, {"ids": given, "preview": preview}, using=using)]


def _record(row: tuple[Any, ...]) -> Record:
    given = dict(zip(_COLUMNS, row, strict=True))
    options = loaded(given.pop("options"))
    hidden = options if isinstance(options, dict) else {}
    argsrepr, kwargsrepr = (_text(hidden.get(name)) for name in ("argsrepr", "kwargsrepr"))
    if argsrepr is not None or kwargsrepr is not None:
        given["payload"] = None
    given["lane"] = given["lane"] or _text(hidden.get("lane"))
    result = given.pop("result")
    return Record(
        **given,
        argsrepr=argsrepr,
        kwargsrepr=kwargsrepr,
        error=None if result is None else said(result),
    )


_COLUMNS: Final = (
    "id",
    "is_queued",
    "custom_id",
    "task",
    "state",
    "stored_state",
    "queue",
    "priority",
    "payload",
    "payload_id",
    "options",
    "retries",
    "deliveries",
    "enqueued_at",
    "eta",
    "expires",
    "started_at",
    "date_done",
    "runtime",
    "worker",
    "worker_id",
    "exception",
    "result",
    "root_id",
    "parent_id",
    "after",
    "feeds",
    "position",
    "unknown_since",
    "lane",
    "gate",
)
"""The columns of ``records.sql``."""


def loaded(text: str | None) -> Any:
    """What JSON text stands for; the text itself where it is none, for rows may hold anything."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def said(result: str) -> str:
    """What a stored exception said, of a text that may have been cut."""
    stored = loaded(result)
    if isinstance(stored, dict):
        message = stored.get("exc_message")
        parts = message if isinstance(message, list) else [message]
        return ", ".join(_shown(part) for part in parts if part is not None)
    # The message comes second, and the cut was made in it.
    begin = _MESSAGE.search(result)
    return _ESCAPE.sub(_unescaped, result[begin.end() :]) if begin else result


_MESSAGE: Final = re.compile(r'"exc_message":\s*\[?\s*"?')
_ESCAPE: Final = re.compile(r'\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt])')


def _unescaped(found: re.Match[str]) -> str:
    text: str = json.loads(f'"{found[0]}"')
    # Half of a pair, which no encoding knows: it stays as it is written.
    return found[0] if "\ud800" <= text <= "\udfff" else text


def _shown(part: Any) -> str:
    return part if isinstance(part, str) else json.dumps(part, ensure_ascii=False)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
