"""The rows of schedules that are in the settings."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import connections, transaction
from django.db.models.functions import Now

from djtasks.beat.entries import Entry, entries
from djtasks.conf import conf

if TYPE_CHECKING:
    from djtasks.models import PeriodicTask

__all__ = ["seed"]

logger = logging.getLogger("djtasks.beat")

LOCK: Final = (0x646A7462, 0)
"""Held for the transaction by whoever compares settings and rows."""

KEPT_FOR: Final = timedelta(days=7)
"""How long a schedule is kept that is not in the settings any more, should it come back."""


def seed(using: str | None = None) -> None:
    """Make the rows of this process's settings what the settings say.

    Who starts last wins, and each start writes at most once: while versions change, workers with
    old and new settings do not undo each other's work again and again. A schedule that is not in
    the settings any more is not deleted at once: its row stays, is not sent, and is what it was
    (paused, if it was) when an old worker or a roll-back brings it back.

    Entries that mean nothing are logged and left out. Raises what the database raises.
    """
    from djtasks.models import PeriodicTask, Source

    alias = using or conf.DATABASE
    wanted: dict[str, Entry] = {}
    broken: set[str] = set()
    for name, entry in entries():
        if isinstance(entry, Entry):
            wanted[name] = entry
        else:
            broken.add(name)
            logger.error("%s It is left out.", entry)
    table = PeriodicTask.objects.using(alias)
    with transaction.atomic(using=alias):
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", LOCK)
        rows = {row.name: row for row in table.all()}
        for name, entry in wanted.items():
            _write(alias, name, entry, rows.get(name))
        ours = [row for row in rows.values() if row.source == Source.SETTINGS]
        gone = [row.pk for row in ours if row.name not in wanted and row.name not in broken]
        if gone:
            table.filter(pk__in=gone).update(source=Source.REMOVED)
        table.filter(source=Source.REMOVED, changed_at__lt=Now() - KEPT_FOR).delete()


def _write(alias: str, name: str, entry: Entry, row: PeriodicTask | None) -> None:
    """Make one row what its entry says, if it is not."""
    from djtasks.models import PeriodicTask, Source

    table = PeriodicTask.objects.using(alias)
    columns: dict[str, Any] = {**entry.columns(), "source": Source.SETTINGS}
    if row is None:
        table.create(name=name, **columns)
    elif row.source == Source.ADMIN:
        logger.warning(
            "The schedule %r of the settings is left out: one of that name was made in the admin. "
            "Delete that one, or give this one another name.",
            name,
        )
    else:
        changed = {key: value for key, value in columns.items() if getattr(row, key) != value}
        if changed:
            table.filter(pk=row.pk).update(**changed)
