"""Which tasks an operation would take: all that match a filter, and who is eligible."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db import connections

from djtasks.control.each import BATCH, batches, database, keys
from djtasks.control.outcome import Outcome, Reason
from djtasks.control.sql import load
from djtasks.control.standing import Operation, refusal, standings

if TYPE_CHECKING:
    from djtasks.browser.find import Filter

PURGEABLE = load("purgeable")

LIMIT: Final = 10_000
"""Tasks that :func:`eligible` and :func:`purgeable` look at, at most."""


def select(filter: Filter, *, using: str | None = None) -> Iterator[list[UUID]]:
    """The ids of all tasks that match, newest first, in batches to be given to an operation.

    What arrives after the first batch was read, or ends or changes so that it would come before
    it, is not among them.
    """
    from djtasks.browser.find import find

    cursor = None
    while True:
        page = find(filter, cursor=cursor, size=BATCH)
        if page.records:
            yield [record.id for record in page.records]
        cursor = page.next
        if cursor is None:
            return


def eligible(
    operation: Operation,
    tasks: Sequence[UUID | str] | Filter,
    *,
    also_succeeded: bool = False,
    using: str | None = None,
) -> Outcome:
    """How many of these tasks the operation would do now, and how many it would pass over.

    ``tasks`` are ids, or a filter. Nothing is changed. Of a filter the first :data:`LIMIT` that
    match are counted; ``Outcome.more`` says that there are others.
    """
    alias = database(using)
    chosen: Iterable[Sequence[UUID]]
    given = isinstance(tasks, Sequence)
    chosen = batches(keys(tasks)) if isinstance(tasks, Sequence) else select(tasks, using=using)
    done = 0
    reasons: list[Reason] = []
    for batch in chosen:
        if not given and done + len(reasons) >= LIMIT:
            return Outcome.of(done, reasons, more=True)
        for task in standings(batch, alias).values():
            reason = refusal(operation, task, also_succeeded=also_succeeded)
            if reason is None:
                done += 1
            else:
                reasons.append(reason)
    return Outcome.of(done, reasons)


def purgeable(queue: str, *, using: str | None = None) -> Outcome:
    """How many tasks :func:`purge` would discard now, counted to :data:`LIMIT`."""
    with connections[database(using)].cursor() as cursor:
        cursor.execute(PURGEABLE, {"queue": queue, "limit": LIMIT})
        idle, running, more = cursor.fetchone()
    return Outcome.of(idle, [Reason.RUNNING] * running, more=more)
