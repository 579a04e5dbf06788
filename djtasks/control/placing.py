"""Changing when and where queued tasks run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connections, transaction

from djtasks.control.each import carry_out, database, keys, wake_after_commit
from djtasks.control.sql import load
from djtasks.exceptions import QueueNotFound
from djtasks.models import MessageState
from djtasks.options import is_priority
from djtasks.routing import queue_name

if TYPE_CHECKING:
    from djtasks.control.outcome import Outcome

RUN_NOW = load("run_now")
MOVE = load("move")

READY = (MessageState.READY, MessageState.IN_LINE)


def run_now(ids: Sequence[UUID | str], *, using: str | None = None) -> Outcome:
    """Make scheduled tasks ready at once.

    Passed over: what is ready already, is blocked by a limit, waits for other tasks, runs, or has
    ended.
    """
    alias = database(using)

    def act(batch: Sequence[UUID]) -> set[UUID]:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute(RUN_NOW, {"ids": list(batch)})
            rows = cursor.fetchall()
            wake_after_commit(alias, wake={queue for _, queue in rows})
        return {id for id, _ in rows}

    return carry_out("run_now", keys(ids), act, alias)


def move(
    ids: Sequence[UUID | str],
    *,
    queue: str | None = None,
    priority: int | None = None,
    using: str | None = None,
) -> Outcome:
    """Give tasks that no worker has begun another queue, another priority, or both.

    Larger priorities run first. A task keeps its age among those of its priority. Passed over:
    what runs or has ended; and, where only the priority is to change, what keeps the order of its
    key (``order_key``), in which priorities do not count. Raises :class:`ValueError` for neither,
    and for a queue or a priority that cannot be.
    """
    if queue is None and priority is None:
        raise ValueError("Say where to: another queue, another priority, or both.")
    queue = None if queue is None else checked_queue(queue)
    rank = None if priority is None else -checked_priority(priority)
    alias = database(using)

    def act(batch: Sequence[UUID]) -> set[UUID]:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute(MOVE, {"ids": list(batch), "queue": queue, "rank": rank})
            rows = cursor.fetchall()
            # What was locked for a moment was passed over by claims, wherever it stays.
            ready = {name for _, name, state in rows if state in READY}
            due = {name for _, name, state in rows if state == MessageState.SCHEDULED}
            wake_after_commit(alias, wake=ready, due=due)
        return {row[0] for row in rows}

    return carry_out("prioritise" if queue is None else "move", keys(ids), act, alias)


def checked_queue(queue: str) -> str:
    """The name of a queue that there may be. Raises :class:`ValueError`."""
    try:
        return queue_name("The queue", queue)
    except (QueueNotFound, TypeError) as error:
        raise ValueError(error.args[0]) from error


def checked_priority(priority: int) -> int:
    """A priority that can be stored. Raises :class:`ValueError`."""
    if not is_priority(priority):
        raise ValueError(f"The priority must be a whole number of 32 bits, not {priority!r}.")
    return int(priority)
