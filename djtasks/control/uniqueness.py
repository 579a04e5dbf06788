"""Unique keys of tasks that people put back: they are taken as by a call, or the task stays."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import connections

from djtasks.queue.uniqueness import OPTION, Unique, item

if TYPE_CHECKING:
    from uuid import UUID


def unique_of(options: str | None) -> Unique | None:
    """What makes a task unique, of the options of its call, JSON text; None if nothing does."""
    if not options or f'"{OPTION}":' not in options:
        return None
    try:
        found = json.loads(options)
    except ValueError:
        # Somebody wrote the row by hand. The worker that is given the task says so.
        return None
    return Unique.of_option(found.get(OPTION)) if isinstance(found, dict) else None


def without_key(tasks: Iterable[tuple[UUID, UUID, str | None]], alias: str) -> set[UUID]:
    """Take the unique keys of tasks that are about to be queued, in their order; returns the ids of
    those whose key another task has.

    Of each there is given its id, that of the ended task that it is again, and the options of the
    call, as JSON text.
    """
    items = [
        item(id, unique, place, own=old)
        for place, (id, old, options) in enumerate(tasks)
        if (unique := unique_of(options)) is not None
    ]
    if not items:
        return set()
    from djtasks.queue.unique import take

    return {answer.taker for answer in take(connections[alias], items, hold=False)}
