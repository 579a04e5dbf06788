"""Ending tasks that have not begun, and deleting what is kept of those that have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.db import connections, transaction

from djtasks.control.each import batches, carry_out, database, keys
from djtasks.control.outcome import Outcome
from djtasks.control.retrying import hold_results
from djtasks.control.sql import load
from djtasks.queue.revoke import end_unbegun
from djtasks.queue.state import forget

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PURGE_READY = load("purge_ready")
PURGE_LINES = load("purge_lines")
PURGE_SCHEDULED = load("purge_scheduled")
PURGE_WAITING = load("purge_waiting")
PURGE_HELD = load("purge_held")
PURGE_BLOCKED = load("purge_blocked")
DISCARD = load("discard")

NIL = UUID(int=0)

READ_AT_ONCE: Final = 10_000
"""Messages of a queue that are looked for at once: a planner may read more for each look."""


def revoke(
    ids: Sequence[UUID | str], *, reason: str = "revoked", using: str | None = None
) -> Outcome:
    """End tasks that no worker has begun as REVOKED, and what waits for them in a workflow.

    ``reason`` is the message of their :class:`TaskRevokedError`. Passed over: what runs (see
    :func:`djtasks.control.terminate`) and what has ended.
    """
    alias = database(using)
    doomed: set[UUID] = set()

    def act(batch: Sequence[UUID]) -> set[UUID]:
        ended, with_them = end_unbegun(batch, reason=reason, using=alias)
        doomed.update(with_them)
        # What ended because it waited for one of an earlier batch was revoked as well.
        return {id for id in batch if id in ended or id in doomed}

    return carry_out("revoke", keys(ids), act, alias)


def delete(ids: Sequence[UUID | str], *, using: str | None = None) -> Outcome:
    """Delete the results of ended tasks, with their earlier attempts and large arguments.

    Passed over: what is queued, to be revoked first, and what runs.
    """
    alias = database(using)

    def act(batch: Sequence[UUID]) -> set[UUID]:
        with transaction.atomic(using=alias):
            held = hold_results("delete", batch, alias)
            if held:
                forget(held, using=alias)
        return set(held)

    return carry_out("delete", keys(ids), act, alias)


def purge(queue: str, *, using: str | None = None) -> int:
    """Discard the tasks of a queue that no worker has begun; returns how many.

    As in Celery nothing remains of them; but those that other tasks wait for end as REVOKED, with
    what waits for them. What is enqueued after the call began stays.
    """
    alias = database(using)
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        began = cursor.fetchone()[0]
    places = {"queue": queue, "began": began, "limit": READ_AT_ONCE}
    ready = {**places, "rank": -(2**31), "seq": -1}
    lines = {**places, "fair": "", "rank": -(2**31), "seq": -1}
    purged = 0
    # What becomes ready while the others are looked at is met by the second look at what is ready.
    for statement, first in (
        (PURGE_READY, ready),
        (PURGE_LINES, lines),
        (PURGE_SCHEDULED, {**places, "eta": "-infinity", "id": NIL}),
        (PURGE_WAITING, {**places, "after": NIL, "id": NIL}),
        # Of a paused task what is blocked is held, by and by, and not the other way round.
        (PURGE_BLOCKED, {**places, "gate": "", "rank": -(2**31), "seq": -1}),
        (PURGE_HELD, {**places, "task": "", "seq": -1}),
        (PURGE_READY, ready),
        (PURGE_LINES, lines),
    ):
        for rows in _pages(statement, first, alias):
            for batch in batches([row[-2] for row in rows if not row[-1]]):
                purged += _discard(batch, queue, alias)
            for batch in batches([row[-2] for row in rows if row[-1]]):
                purged += _revoke_of_queue(batch, queue, alias)
    return purged


def _pages(statement: str, place: dict[str, Any], alias: str) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a statement that goes on behind the last one it gave, many at a time.

    The columns before the last two are parameters of the same order as in ``place``.
    """
    names = list(place)[3:]
    while True:
        with connections[alias].cursor() as cursor:
            cursor.execute(statement, place)
            rows = cursor.fetchall()
        if rows:
            yield rows
        if len(rows) < place["limit"]:
            return
        place = {**place, **dict(zip(names, rows[-1], strict=False))}


def _discard(ids: Sequence[UUID], queue: str, alias: str) -> int:
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(DISCARD, {"ids": list(ids), "queue": queue})
        return int(cursor.fetchone()[0])


def _revoke_of_queue(ids: Sequence[UUID], queue: str, alias: str) -> int:
    """End these, and what waits for them; returns how many of all those are of the queue."""
    ended, doomed = end_unbegun(ids, reason=f"the queue {queue} was purged", using=alias)
    if not doomed:
        return len(ended)
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM djtasks_taskresult WHERE id = ANY (%s::uuid[]) AND queue = %s",
            (list(doomed), queue),
        )
        return len(ended) + int(cursor.fetchone()[0])
