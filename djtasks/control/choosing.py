"""Which tasks an operation would take: all that match a filter, and who is eligible."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db import connections

from djtasks.control.each import BATCH, batches, database, keys
from djtasks.control.outcome import Outcome, Reason
from djtasks.control.sql import load
from djtasks.control.standing import Operation, Standing, refusal, standings

if TYPE_CHECKING:
    from djtasks.browser.find import Filter

PURGEABLE = load("purgeable")

LIMIT: Final = 5_000
"""Tasks that :func:`eligible` and :func:`purgeable` count, at most."""

LONGEST_SEARCH: Final = 30_000
"""Tasks that :func:`eligible` looks at for those that match, about at most."""


def select(filter: Filter, *, using: str | None = None) -> Iterator[list[UUID]]:
    """The ids of all tasks that match, newest first, in batches to be given to an operation.

    What is enqueued, ends or is put back after the call began is not among them, so a task that an
    operation changes does not come again.
    """
    for tasks, _ in _matching(filter, database(using), BATCH):
        if tasks:
            yield [task.id for task in tasks]


def eligible(
    operation: Operation,
    tasks: Sequence[UUID | str] | Filter,
    *,
    also_succeeded: bool = False,
    using: str | None = None,
) -> Outcome:
    """How many of these tasks the operation would do now, and how many it would pass over.

    ``tasks`` are ids, or a filter. Nothing is changed. Of a filter the first :data:`LIMIT` that
    match are counted, of at most :data:`LONGEST_SEARCH` that are looked at; ``Outcome.more`` says
    that there may be others.
    """
    alias = database(using)
    done = 0
    reasons: list[Reason] = []
    searched = 0
    for batch, looked_at in _standings(tasks, alias):
        for task in batch:
            if looked_at is not None and done + len(reasons) == LIMIT:
                return Outcome.of(done, reasons, more=True)
            reason = refusal(operation, task, also_succeeded=also_succeeded)
            if reason is None:
                done += 1
            else:
                reasons.append(reason)
        searched += looked_at or 0
        if searched > LONGEST_SEARCH:
            return Outcome.of(done, reasons, more=True)
    return Outcome.of(done, reasons)


def purgeable(queue: str, *, using: str | None = None) -> Outcome:
    """How many tasks :func:`purge` would discard now, counted to :data:`LIMIT`."""
    with connections[database(using)].cursor() as cursor:
        cursor.execute(PURGEABLE, {"queue": queue, "limit": LIMIT})
        idle, running, more = cursor.fetchone()
    return Outcome.of(idle, [Reason.RUNNING] * running, more=more)


def _standings(
    tasks: Sequence[UUID | str] | Filter, alias: str
) -> Iterator[tuple[Iterable[Standing], int | None]]:
    """How these tasks stand, many at a time; with a filter, how many were looked at for them."""
    if isinstance(tasks, Sequence):
        for batch in batches(keys(tasks)):
            yield standings(batch, alias).values(), None
    else:
        yield from _matching(tasks, alias, 4 * BATCH)


def _matching(filter: Filter, alias: str, size: int) -> Iterator[tuple[list[Standing], int]]:
    """The tasks that match and were there when this began, newest first, many at a time.

    With them comes how many were looked at: where that is much for one page, there may be none.
    """
    from djtasks.browser.find import find_ids

    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        began = cursor.fetchone()[0]
    place = None
    while True:
        page = find_ids(filter, cursor=place, size=size, using=alias)
        known = standings(page.ids, alias) if page.ids else {}
        tasks = [known[id] for id in page.ids if id in known]
        yield [task for task in tasks if task.since is None or task.since <= began], page.searched
        place = page.next
        if place is None:
            return
