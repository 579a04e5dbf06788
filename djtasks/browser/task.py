"""One task whole: what happened to it, what it was given, what came of it, what belongs to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from django.utils import timezone

from djtasks.browser.reading import fetch, reading
from djtasks.browser.record import Record, loaded, records, said
from djtasks.browser.sql import load
from djtasks.models.message import FIRST_FOREIGN_ID
from djtasks.queue.uniqueness import OPTION, Unique

__all__ = ["TEXT", "Event", "TaskView", "task"]

TASK = load("task")
ATTEMPTS = load("attempts")
RELATIVES = load("relatives")
HISTORY = load("history")

# A bitmap is made of all of an index before the first of its rows is read.
PLANNER: Final = "SELECT set_config('enable_bitmapscan', 'off', true)"

TEXT: Final = 10_000_000
"""Characters of each text that are read: what is longer is cut."""

MOST_ATTEMPTS: Final = 100
MOST_RELATIVES: Final = 50
MOST_RUNS: Final = 50

FAMILY: Final = 5_000
"""Rows of each table that are looked at for relatives."""

SCAN: Final = 10_000
"""Tasks that ended last, among which other runs of the same one are looked for."""

Kind = Literal["enqueued", "due", "started", "retried", "lost", "attempt", "ended"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a task, or will. ``duration`` is in seconds.

    ``kind`` is what: ``enqueued``; ``due`` (its time came, or comes); ``started`` (the run that is
    under way, or that ended); ``attempt`` (a run that was not the last; ``state`` is RETRY, LOST or
    the end of a run before it was retried by hand); ``ended``.
    """

    kind: Kind
    state: str
    at: datetime | None
    number: int | None = None
    """The attempt that it belongs to, from 1."""
    worker: str | None = None
    duration: float | None = None
    exception: str | None = None
    error: str | None = None
    is_yet_to_come: bool = False


@dataclass(frozen=True, slots=True)
class TaskView:
    """Everything about one task.

    ``record.payload`` is whole, read from its own row if it is large. ``options``, ``headers`` and
    ``meta`` are what JSON makes of them, or the text itself where it is none; ``meta`` is what
    ``update_state()`` stored of a task that has not ended. ``result`` is a JSON text: the return
    value of a task that succeeded.
    """

    record: Record
    events: list[Event]
    options: Any
    headers: Any
    meta: Any
    result: str | None
    exception: str | None
    error: str | None
    """What the exception said, whole."""
    traceback: str | None
    parent: Record | None
    children: list[Record]
    siblings: list[Record]
    """Tasks whose results come together with its own."""
    history: list[Record]
    """The last runs of the same task that ended, the oldest first."""
    more_children: bool
    more_siblings: bool
    is_in_workflow: bool
    unique: Unique | None = None
    """Its unique key, if it is a unique task."""


def task(id: UUID, *, using: str | None = None) -> TaskView | None:
    """Everything about a task; None if there is neither a message nor a result."""
    found = records([id], using=using)
    texts = fetch(TASK, {"id": id, "most": TEXT}, using=using)
    if not found or not texts:
        return None
    payload, options_text, result, traceback = texts[0]
    options = loaded(options_text)
    record = _whole(found[0], payload, options)
    failed = record.exception is not None
    rows = fetch(ATTEMPTS, {"id": id, "most": MOST_ATTEMPTS, "length": 500}, using=using)
    family = _family(record, using)
    return TaskView(
        record=record,
        events=list(_events(record, [Run(*row) for row in rows])),
        options=_without_headers(options),
        headers=options.get("headers") if isinstance(options, dict) else None,
        meta=loaded(result) if record.is_queued and not failed else None,
        result=None if record.is_queued or failed else result,
        exception=record.exception,
        error=said(result) if failed and result is not None else None,
        traceback=traceback,
        unique=Unique.of_option(options.get(OPTION)) if isinstance(options, dict) else None,
        **family,
    )


def _whole(record: Record, payload: str | None, options: Any) -> Record:
    """The record with all of its payload, or of what its caller wants to be shown instead."""
    if not record.is_hidden:
        return replace(record, payload=payload)
    if not isinstance(options, dict):
        return record
    args, kwargs = (options.get(name) for name in ("argsrepr", "kwargsrepr"))
    return replace(
        record,
        argsrepr=args if isinstance(args, str) else record.argsrepr,
        kwargsrepr=kwargs if isinstance(kwargs, str) else record.kwargsrepr,
    )


def _without_headers(options: Any) -> Any:
    """The options that are no headers, no unique key and no lane; None if there are no others."""
    if not isinstance(options, dict):
        return options
    left = {name: value for name, value in options.items() if name not in ("headers", "lane")}
    if Unique.of_option(left.get(OPTION)) is not None:
        # It has a place of its own, where it is not shown if the arguments are not.
        del left[OPTION]
    return left or None


# What happened


class Run(NamedTuple):
    """A run that was not the last: a row of ``attempts.sql``."""

    number: int
    state: str
    exception: str | None
    message: str | None
    worker: str | None
    ended_at: datetime
    runtime: float | None

    @property
    def was_the_last(self) -> bool:
        """Whether the task had ended with it, and was then retried by hand."""
        return self.state not in ("RETRY", "LOST")


def _events(record: Record, runs: list[Run]) -> Iterator[Event]:
    """What happened, in its order, and what is yet to come."""
    ended = [run for run in runs if run.was_the_last]
    called_at = _made_at(record.id) if ended else record.enqueued_at
    if called_at is not None:
        yield Event("enqueued", "READY", called_at)
    later: list[Event] = [
        Event(
            "attempt",
            run.state,
            run.ended_at,
            number=run.number,
            worker=run.worker,
            duration=run.runtime,
            exception=run.exception,
            error=run.message,
        )
        for run in runs
    ]
    if ended and record.enqueued_at is not None:
        later.append(Event("retried", "READY", record.enqueued_at))
    number = max([record.retries, *(run.number for run in runs)]) + 1
    if record.eta is not None:
        yet = record.state in ("SCHEDULED", "RETRY") and record.eta > timezone.now()
        state = record.state if yet else "SCHEDULED"
        later.append(Event("due", state, record.eta, is_yet_to_come=yet))
    if record.started_at is not None:
        later.append(
            Event(
                "started",
                "RUNNING",
                record.started_at,
                number=number if number > 1 else None,
                worker=record.worker,
            )
        )
    # The clocks of machines differ; what is written together is in its order.
    yield from sorted(later, key=lambda event: (event.is_yet_to_come, event.at or UNKNOWN))
    if not record.is_queued and record.date_done is not None:
        yield Event(
            "ended",
            record.state,
            record.date_done,
            worker=record.worker if record.started_at is None else None,
            duration=record.runtime,
            exception=record.exception,
            error=record.error,
        )


UNKNOWN: Final = datetime.min.replace(tzinfo=UTC)


def _made_at(id: UUID) -> datetime | None:
    """When an id was made, if it says so."""
    if id >= FIRST_FOREIGN_ID or id.version != 7:
        return None
    return datetime.fromtimestamp((id.int >> 80) / 1000, UTC)


# What belongs to it


def _family(record: Record, using: str | None) -> dict[str, Any]:
    """The fields of :class:`TaskView` that are about other tasks."""
    root = record.root_id or record.id
    with reading(using) as cursor:
        cursor.execute(PLANNER)
        cursor.execute(
            RELATIVES,
            {
                "id": record.id,
                "root": root,
                "feeds": record.feeds if record.position is not None else None,
                "scan": FAMILY,
                "most": MOST_RELATIVES + 1,
            },
        )
        related = cursor.fetchall()
    cut = any(row[2] for row in related)
    # A task that waits for its next attempt has two rows.
    children = list(dict.fromkeys(id for relation, id, _ in related if relation == "child"))
    siblings = list(dict.fromkeys(id for relation, id, _ in related if relation == "sibling"))
    runs = fetch(HISTORY, {"task": record.task, "scan": SCAN, "most": MOST_RUNS}, using=using)
    history = [id for (id,) in reversed(runs)]
    parents = [record.parent_id] if record.parent_id else []
    wanted = dict.fromkeys([*parents, *children, *siblings, *history])
    known = {one.id: one for one in records(wanted, preview=0, using=using)}

    def of(ids: list[UUID]) -> list[Record]:
        return [known[id] for id in ids if id in known]

    return {
        "parent": next(iter(of(parents)), None),
        "children": of(children[:MOST_RELATIVES]),
        "siblings": of(siblings[:MOST_RELATIVES]),
        "history": of(history),
        "more_children": len(children) > MOST_RELATIVES or cut,
        "more_siblings": len(siblings) > MOST_RELATIVES or (cut and bool(siblings)),
        "is_in_workflow": bool(related) or root != record.id,
    }
