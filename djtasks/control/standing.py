"""How a task stands, and whether an operation takes it: one rule, for doing and for counting."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from django.db import connections

from djtasks.control.outcome import Reason
from djtasks.control.sql import load
from djtasks.control.uniqueness import unique_of
from djtasks.models import MessageState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

STANDING = load("standing")
RIVALS = load("rivals")

Operation = Literal[
    "retry", "retry_as_new", "run_now", "revoke", "terminate", "move", "prioritise", "delete"
]
"""An operation on tasks, by its name; ``prioritise`` is a move to another priority alone."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a task's message, its worker and its result say of it.

    ``state`` is that of its message, None if there is none; ``pool`` that of the worker that has
    claimed it, None if there is no such worker. ``has_call`` says whether the result knows what
    was called, ``deprived`` whether it ended without the results that it waited for. ``since`` is
    when it was enqueued, put back or ended, whichever came last, ``ordered`` whether it keeps the
    order of its key. ``has_rival`` says whether another task has its unique key.
    """

    id: UUID
    state: int | None
    owner: int | None
    pool: str | None
    stored: bool
    ended: bool
    succeeded: bool | None
    has_call: bool | None
    deprived: bool | None
    since: datetime | None
    ordered: bool = False
    has_rival: bool = False

    @property
    def queued(self) -> bool:
        """Whether it has not ended: there is a message."""
        return self.state is not None


def standings(ids: Sequence[UUID], alias: str) -> dict[UUID, Standing]:
    """How these tasks stand; those that nobody knows stand for nothing.

    One query, and a second one if there are ended tasks among them that were unique.
    """
    with connections[alias].cursor() as cursor:
        cursor.execute(STANDING, {"ids": list(ids)})
        rows = cursor.fetchall()
        known = {row[0]: Standing(*row[:-1]) for row in rows}
        keys = {row[0]: unique.key for row in rows if (unique := unique_of(row[-1])) is not None}
        if keys:
            cursor.execute(RIVALS, {"ids": list(keys), "keys": list(keys.values())})
            for (id,) in cursor.fetchall():
                known[id] = replace(known[id], has_rival=True)
    return known


def refusal(operation: Operation, task: Standing, *, also_succeeded: bool = False) -> Reason | None:
    """Why an operation passes over a task; None if it takes it."""
    match operation:
        case "retry" | "retry_as_new":
            return _of_retry(task, also_succeeded)
        case "delete":
            return _of_delete(task)
        case "run_now":
            return _unbegun(task) or {
                MessageState.READY: Reason.READY,
                MessageState.IN_LINE: Reason.READY,
                MessageState.WAITING: Reason.WAITING,
                MessageState.HELD: Reason.PAUSED,
                MessageState.BLOCKED: Reason.BLOCKED,
            }.get(MessageState(task.state or 0))
        case "revoke" | "move":
            return _unbegun(task)
        case "prioritise":
            return _unbegun(task) or (Reason.ORDERED if task.ordered else None)
        case "terminate":
            return _of_terminate(task)


def _of_retry(task: Standing, also_succeeded: bool) -> Reason | None:
    if task.queued:
        return Reason.QUEUED if task.owner is None else Reason.RUNNING
    if not task.stored:
        return Reason.UNKNOWN
    if not task.ended:
        return Reason.NO_END
    if task.succeeded and not also_succeeded:
        return Reason.SUCCEEDED
    if not task.has_call:
        return Reason.NO_CALL
    if task.deprived:
        return Reason.NEVER_RAN
    return Reason.NOT_UNIQUE if task.has_rival else None


def _of_delete(task: Standing) -> Reason | None:
    if task.queued:
        return Reason.QUEUED_REVOKE if task.owner is None else Reason.RUNNING
    return None if task.stored else Reason.UNKNOWN


def _unbegun(task: Standing) -> Reason | None:
    if not task.queued:
        return Reason.ENDED if task.stored else Reason.UNKNOWN
    return None if task.owner is None else Reason.RUNNING


def _of_terminate(task: Standing) -> Reason | None:
    if not task.queued:
        return Reason.ENDED if task.stored else Reason.UNKNOWN
    if task.owner is None:
        return Reason.NOT_RUNNING
    return Reason.WORKER_GONE if task.pool is None else None
