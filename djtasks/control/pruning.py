"""Deleting what workers delete by themselves when it is old enough: now, and as old as wanted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import connections, transaction

from djtasks.conf import conf
from djtasks.control.choosing import LIMIT
from djtasks.control.each import database
from djtasks.control.sql import load
from djtasks.queue.sql import load as load_of_queue

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

PRUNABLE = load("prunable")
PRUNE = load_of_queue("prune")
PRUNE_GROUPS = load_of_queue("prune_groups")
PRUNE_ACTIVITY = load_of_queue("prune_activity")
PRUNE_DEPTH = load_of_queue("prune_depth")
SWEEP_ATTEMPTS = load_of_queue("sweep_attempts")
LEFTOVERS: Final = tuple(
    load_of_queue(name)
    for name in ("prune_queues", "sweep_payloads", "sweep_waiters", "sweep_questions")
)
SWEEP_STATES = load_of_queue("sweep_states")

BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many results and saved groups were deleted, or would be; ``more``: at least so many."""

    results: int
    groups: int
    more: bool = False


def default_age() -> float | None:
    """Seconds after which workers delete results, ``RESULT_EXPIRES``; None for never."""
    expires: float | timedelta | None = conf.RESULT_EXPIRES
    seconds = expires.total_seconds() if isinstance(expires, timedelta) else expires
    return seconds or None


def prunable(age: float, *, using: str | None = None) -> Pruned:
    """What :func:`prune` would delete now, counted to a limit."""
    with connections[database(using)].cursor() as cursor:
        cursor.execute(PRUNABLE, {"age": age, "limit": LIMIT})
        results, groups = cursor.fetchone()
    return Pruned(results, groups, more=LIMIT in (results, groups))


def prune(age: float, *, using: str | None = None) -> Pruned:
    """Delete results and saved groups that ended longer ago than ``age`` seconds.

    And what goes with it: attempts, large arguments, states of tasks that vanished, counts that no
    chart shows any more. What has not ended stays. Works in short transactions.
    """
    alias = database(using)
    batch = {"age": age, "limit": BATCH}
    results = _until_short(alias, PRUNE, batch)
    groups = 0
    while True:
        with connections[alias].cursor() as cursor:
            cursor.execute(PRUNE_GROUPS, batch)
            gone = cursor.rowcount
        groups += gone
        if gone < BATCH:
            break
    for statement in (PRUNE_ACTIVITY, PRUNE_DEPTH):
        _until_short(alias, statement, {"limit": BATCH})
    with connections[alias].cursor() as cursor:
        _sweep(cursor, age)
    return Pruned(results, groups)


def _until_short(alias: str, statement: str, batch: dict[str, float]) -> int:
    total = 0
    while True:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute(statement, batch)
            gone = int(cursor.fetchone()[0])
        total += gone
        if gone < BATCH:
            return total


def _sweep(cursor: CursorWrapper, age: float) -> None:
    cursor.execute(SWEEP_STATES, {"age": age})
    for statement in LEFTOVERS:
        cursor.execute(statement)
    after: int | None = 0
    while after is not None:
        cursor.execute(SWEEP_ATTEMPTS, {"age": age, "after": after, "limit": BATCH})
        row = cursor.fetchone()
        after = row[0] if row else None
