"""Revoking tasks by what they have in common: a list, a workflow, a stamp."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import sleep
from typing import Any, Final
from uuid import UUID

from django.db import connections

from djtasks.control.each import BATCH, database, keys
from djtasks.control.ending import revoke
from djtasks.control.outcome import Outcome, Reason
from djtasks.control.sql import load
from djtasks.control.workers import checked_signal, terminate
from djtasks.ids import to_uuid

STAMPED = load("stamped")
OF_WORKFLOW = load("of_workflow")

PAUSES: Final = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Seconds until a task is looked at once more of which a claim is not committed yet."""

ROUNDS: Final = 10
"""How often it is looked for what the tasks of a workflow have enqueued meanwhile."""


def revoke_tasks(
    ids: Sequence[UUID | str],
    *,
    terminate: bool = False,
    signal: str = "SIGTERM",
    reason: str = "revoked",
    using: str | None = None,
) -> Outcome:
    """:func:`djtasks.control.revoke`, and with ``terminate`` end what runs of them as well.

    Raises :class:`ValueError` for a signal that does not end a process.
    """
    checked_signal(signal)
    outcome = revoke(ids, reason=reason, using=using)
    if not terminate:
        return outcome
    left = _without(keys(ids), outcome)
    for pause in PAUSES:
        if not left:
            return outcome
        # After that: what a worker took meanwhile runs now.
        ended = _terminate(left, signal=signal, using=using)
        outcome = replace(outcome, skipped={}) + ended
        if Reason.NOT_RUNNING.label not in ended.skipped:
            return outcome
        # It is in the queue and was passed over there: a claim of it is not committed yet.
        sleep(pause)
        left = _without(left, ended)
        revoked = revoke(left, reason=reason, using=using)
        outcome = replace(outcome, skipped={}) + revoked
        left = _without(left, revoked)
    return outcome


def revoke_workflow(
    root_id: UUID | str,
    *,
    terminate: bool = False,
    signal: str = "SIGTERM",
    reason: str = "revoked",
    using: str | None = None,
) -> Outcome:
    """Revoke all tasks of a workflow that have not ended, whichever its shape.

    ``root_id`` is the id of the first task of the workflow, ``request.root_id`` of all others and
    the id of a chain's first or of whatever called the rest. What its tasks enqueue while this runs
    is found too; without ``terminate`` a task that runs goes on, and what it enqueues later is not.
    """
    alias = database(using)
    root, _ = to_uuid(root_id)
    total = Outcome()
    done: set[UUID] = set()
    for _round in range(ROUNDS):
        with connections[alias].cursor() as cursor:
            cursor.execute(OF_WORKFLOW, {"root": root})
            ids = [id for (id,) in cursor.fetchall() if id not in done]
        if not ids:
            break
        done.update(ids)
        total += revoke_tasks(ids, terminate=terminate, signal=signal, reason=reason, using=alias)
    return total


def revoke_stamped(
    headers: Mapping[str, Any],
    *,
    terminate: bool = False,
    signal: str = "SIGTERM",
    reason: str = "revoked",
    using: str | None = None,
) -> Outcome:
    """Revoke all tasks with one of these stamps that have not ended.

    ``headers`` are names with a value, or a list of which any will do. A task whose stamp is a list
    matches if they have a value in common. All that is queued is read for it. Raises
    :class:`ValueError` for no stamp.
    """
    if not headers:
        raise ValueError("Say which stamps: {name: value} or {name: [values]}.")
    alias = database(using)
    wanted = {str(name): _values(value) for name, value in headers.items()}
    needles = [f"%{_escaped(json.dumps(name))}%" for name in wanted]
    total = Outcome()
    place = UUID(int=0)
    while True:
        with connections[alias].cursor() as cursor:
            cursor.execute(STAMPED, {"after": place, "needles": needles, "limit": BATCH})
            rows = cursor.fetchall()
        ids = [id for id, options in rows if _matches(options, wanted)]
        if ids:
            total += revoke_tasks(
                ids, terminate=terminate, signal=signal, reason=reason, using=alias
            )
        if len(rows) < BATCH:
            return total
        place = rows[-1][0]


_terminate = terminate


def _without(ids: Sequence[UUID], outcome: Outcome) -> list[UUID]:
    """Those that were passed over."""
    taken = set(outcome.taken)
    return [id for id in ids if id not in taken]


def _values(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]


def _matches(options: str, wanted: Mapping[str, list[Any]]) -> bool:
    try:
        stamps = json.loads(options).get("stamps")
    except (ValueError, AttributeError):
        # A broken row: the worker that is given it says so in its result.
        return False
    if not isinstance(stamps, dict):
        return False
    return any(
        name in stamps and any(value in _values(stamps[name]) for value in values)
        for name, values in wanted.items()
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
