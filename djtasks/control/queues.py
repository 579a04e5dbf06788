"""Pausing and resuming queues."""

from __future__ import annotations

from django.db import connections, transaction

from djtasks.control.each import database, wake_after_commit
from djtasks.control.placing import checked_queue
from djtasks.control.sql import load

PAUSE = load("pause")
RESUME = load("resume")


def pause(queue: str, *, reason: str = "", using: str | None = None) -> bool:
    """Let no worker claim from a queue until it is resumed; what runs goes on.

    ``reason`` is shown to others. Returns whether the queue was served until now; one that is
    paused already gets the reason, if there is one. Raises :class:`ValueError` for a name that no
    queue can have.
    """
    alias = database(using)
    place = {"queue": checked_queue(queue), "reason": reason}
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(PAUSE, place)
        if cursor.fetchone() is not None:
            return True
        if reason:
            cursor.execute(
                "UPDATE djtasks_queue SET reason = %(reason)s WHERE name = %(queue)s", place
            )
    return False


def resume(queue: str, *, using: str | None = None) -> bool:
    """Let workers claim from a queue again; returns whether it was paused."""
    alias = database(using)
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(RESUME, {"queue": queue})
        if cursor.fetchone() is None:
            return False
        wake_after_commit(alias, wake={queue}, due={queue})
    return True
