"""Running ended tasks again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.db import connections, transaction

from djtasks.control.each import carry_out, database, keys, wake_after_commit
from djtasks.control.outcome import Outcome
from djtasks.control.sql import load
from djtasks.control.standing import refusal, standings
from djtasks.control.uniqueness import without_key
from djtasks.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from djtasks.control.standing import Operation

HOLD_RESULTS = load("hold_results")
RETRY = load("retry")
OPTIONS = load("options")
RETRY_AS_NEW = load("retry_as_new")

OF_THE_PLACE: Final = ("group", "group_index", "replaced_task_nesting")
"""Options that say where in a workflow a task stands: a new call stands in none."""


def retry(
    ids: Sequence[UUID | str],
    *,
    keep_id: bool = True,
    also_succeeded: bool = False,
    using: str | None = None,
) -> Outcome:
    """Put ended tasks back into their queues, ready, with the arguments and options they had.

    The ended run is kept as an :class:`~djtasks.models.Attempt`, its result is deleted, and
    retries are counted from 0 again. With ``keep_id=False`` the task stays as it ended, and a new
    call of it is made, under an id of its own that ``Outcome.ids`` tells, in no workflow. Neither
    brings back what ended because the task did, and neither expires any more.

    Passed over: tasks that are queued or run, those that succeeded (unless ``also_succeeded``),
    those that never got what they waited for in a workflow, and unique ones whose key another
    task has, one that was put back before them too.
    """
    alias = database(using)
    operation: Operation = "retry" if keep_id else "retry_as_new"
    made: list[UUID] = []

    def act(batch: Sequence[UUID]) -> set[UUID]:
        with transaction.atomic(using=alias):
            ended = hold_results(operation, batch, alias, also_succeeded=also_succeeded)
            if keep_id:
                return _put_back(ended, alias)
            anew = _call_anew(ended, alias)
            made.extend(anew.values())
            return set(anew)

    done = carry_out(operation, keys(ids), act, alias, also_succeeded=also_succeeded)
    return replace(done, ids=tuple(made))


def hold_results(
    operation: Operation, ids: Sequence[UUID], alias: str, *, also_succeeded: bool = False
) -> list[UUID]:
    """Lock the results of those of these tasks that the operation takes; returns their ids.

    What somebody else is changing is left out. Decided is upon what holds once they are locked.
    """
    with connections[alias].cursor() as cursor:
        cursor.execute(HOLD_RESULTS, {"ids": list(ids)})
        held = {row[0] for row in cursor.fetchall()}
    known = standings([id for id in ids if id in held], alias)
    return [
        id
        for id, task in known.items()
        if refusal(operation, task, also_succeeded=also_succeeded) is None
    ]


def options_of_a_copy(text: str | None) -> dict[str, Any] | None:
    """The options of a call, JSON text, without those that say where in a workflow it stands.

    Raises :class:`ValueError` for what is no JSON object.
    """
    if not text:
        return None
    options = json.loads(text)
    if not isinstance(options, dict):
        raise ValueError(f"The stored options are no JSON object: {text[:200]!r}.")
    return {name: value for name, value in options.items() if name not in OF_THE_PLACE} or None


def _put_back(ids: list[UUID], alias: str) -> set[UUID]:
    if not ids:
        return set()
    with connections[alias].cursor() as cursor:
        options = _options(ids, alias)
        left = without_key([(id, id, options.get(id)) for id in ids], alias)
        again = [id for id in options if id not in left]
        keys = _keys(options[id] for id in again)
        cursor.execute(RETRY, {"ids": again, **keys})
        rows = cursor.fetchall()
    wake_after_commit(alias, wake={queue for _, queue in rows})
    return {id for id, _ in rows}


def _call_anew(ids: list[UUID], alias: str) -> dict[UUID, UUID]:
    """Enqueue new calls of these; returns the new ids by the old ones, of those that were."""
    if not ids:
        return {}
    options = {id: _packed(text) for id, text in _options(ids, alias).items()}
    made = {id: new_id() for id in options}
    left = without_key([(made[id], id, text) for id, text in options.items()], alias)
    made = {old: new for old, new in made.items() if new not in left}
    with connections[alias].cursor() as cursor:
        packed = [options[old] for old in made]
        cursor.execute(
            RETRY_AS_NEW,
            {
                "olds": list(made),
                "news": list(made.values()),
                "options": packed,
                **_keys(packed),
            },
        )
        queues = {row[0] for row in cursor.fetchall()}
    wake_after_commit(alias, wake=queues)
    return made


def _options(ids: Sequence[UUID], alias: str) -> dict[UUID, str | None]:
    """The options of the calls of ended tasks, as JSON text."""
    with connections[alias].cursor() as cursor:
        cursor.execute(OPTIONS, {"ids": list(ids)})
        return dict(cursor.fetchall())


def _keys(options: Iterable[str | None]) -> dict[str, list[str | None]]:
    """The lanes and the lines that calls were given, by their options."""
    read = [_readable(text) for text in options]
    return {
        f"{name}s": [value if isinstance(value := each.get(name), str) else None for each in read]
        for name in ("lane", "fair")
    }


def _readable(text: str | None) -> dict[str, Any]:
    """The options of a call; where they are unreadable, none: a worker says so."""
    try:
        options = json.loads(text or "{}")
    except ValueError:
        return {}
    return options if isinstance(options, dict) else {}


def _packed(text: str | None) -> str | None:
    try:
        options = options_of_a_copy(text)
    except ValueError:
        # The worker that is given the new message says so in its result, as of the old one.
        return text
    return None if options is None else json.dumps(options, separators=(",", ":"))
