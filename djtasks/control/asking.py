"""Asking workers something, and waiting for what they answer."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connections, transaction

from djtasks.control.each import database
from djtasks.control.sql import load
from djtasks.control.workers import notify

logger = logging.getLogger("djtasks.control")

ASK = load("ask")

TIMEOUT: Final = 1.0
"""Seconds that answers are waited for if nothing is said, as in Celery."""

POOLED_TIMEOUT: Final = 4.0
"""The same, where a pooler keeps notifications from one of the workers: it looks every second."""

FIRST_POLL: Final = 0.005
LAST_POLL: Final = 0.05


@dataclass(frozen=True, slots=True)
class Asked:
    """A worker that is asked: its number, its name, and whether it can be notified."""

    id: int
    name: str
    listens: bool


@dataclass(frozen=True, slots=True)
class Answers:
    """What workers answered: pairs of name and answer, and who did not answer in time."""

    given: list[tuple[str, Any]] = field(default_factory=list)
    missing: tuple[str, ...] = ()


def fleet(*, using: str | None = None) -> list[Asked]:
    """All workers that are registered, by name."""
    from djtasks.models import Worker

    rows = Worker.objects.using(database(using)).order_by("hostname", "id")
    return [Asked(*row) for row in rows.values_list("id", "hostname", "locked")]


def tell(
    workers: Sequence[Asked],
    command: str,
    arguments: Mapping[str, Any],
    *,
    using: str | None = None,
) -> None:
    """Have workers do something, and wait for nobody. It stands until each has done it."""
    alias = database(using)
    with transaction.atomic(using=alias):
        _put(workers, command, arguments, alias, wants_answer=False)


def ask(
    workers: Sequence[Asked],
    command: str,
    arguments: Mapping[str, Any],
    *,
    timeout: float | None = None,
    limit: int | None = None,
    is_order: bool = False,
    using: str | None = None,
) -> Answers:
    """Ask workers, and wait for their answers for ``timeout`` seconds, or for ``limit`` of them.

    Who has not answered then is named, and logged. A question is withdrawn; an order stands until
    the worker has done it. Raises :class:`RuntimeError` inside a transaction, which nobody could
    see, and :class:`TypeError` for arguments that JSON cannot carry.
    """
    alias = database(using)
    connection = connections[alias]
    if connection.in_atomic_block:
        raise RuntimeError(
            "Workers cannot be asked inside a transaction: they would not see the question before "
            "its commit. Ask outside of it, or with reply=False."
        )
    if timeout is None:
        timeout = TIMEOUT if all(worker.listens for worker in workers) else POOLED_TIMEOUT
    deadline = time.monotonic() + timeout
    with transaction.atomic(using=alias):
        ids = _put(workers, command, arguments, alias, wants_answer=True)
    found: dict[int, Any] = {}
    enough = len(ids) if limit is None else min(limit, len(ids))
    pause = FIRST_POLL
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM djtasks_question WHERE id = ANY (%s) AND answer IS NOT NULL "
                "RETURNING id, answer",
                (list(ids),),
            )
            found.update((ids[id], json.loads(text)) for id, text in cursor.fetchall())
        left = deadline - time.monotonic()
        if len(found) >= enough or left <= 0:
            break
        time.sleep(min(pause, left))
        pause = min(LAST_POLL, 1.5 * pause)
    silent = [id for id, worker in ids.items() if worker not in found]
    if silent:
        with connection.cursor() as cursor:
            # An order that nobody waits for any more is one without an answer.
            cursor.execute(
                "UPDATE djtasks_question SET wants_answer = false WHERE id = ANY (%s)"
                if is_order
                else "DELETE FROM djtasks_question WHERE id = ANY (%s)",
                (silent,),
            )
    missing = tuple(worker.name for worker in workers if worker.id not in found)
    if missing and len(found) < enough:
        logger.warning(
            "No answer to %s within %g seconds from: %s", command, timeout, ", ".join(missing)
        )
    return Answers([(w.name, found[w.id]) for w in workers if w.id in found], missing)


def _put(
    workers: Iterable[Asked],
    command: str,
    arguments: Mapping[str, Any],
    alias: str,
    *,
    wants_answer: bool,
) -> dict[int, int]:
    """Write the questions; returns the worker of each by its id."""
    with connections[alias].cursor() as cursor:
        cursor.execute(
            ASK,
            {
                "workers": [worker.id for worker in workers],
                "command": command,
                "arguments": json.dumps(dict(arguments)),
                "wants_answer": wants_answer,
            },
        )
        ids: dict[int, int] = dict(cursor.fetchall())
    if ids:
        notify(sorted(ids.values()), alias)
    return ids
