"""The system checks of schedules.

========  =========================================================================
E009      an entry of BEAT_SCHEDULE, or one that was added, that means nothing
E010      a schedule of the settings whose task nobody knows
E011      a schedule of the settings whose task does not take its arguments
W012      a schedule in the database that cannot be sent; with ``check --database``
========  =========================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured

from djtasks.exceptions import ScheduleError

if TYPE_CHECKING:
    from djtasks.models import PeriodicTask

__all__ = ["IDS", "check_entries", "check_rows"]

IDS: Final = frozenset({"djtasks.E009", "djtasks.E010", "djtasks.E011"})
"""Errors that stop no worker: one schedule that is wrong stops no other."""


def check_entries(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Schedules of the settings mean something and name tasks that take their arguments."""
    from djtasks.beat.entries import Entry, entries

    try:
        found = list(entries())
    except ImproperlyConfigured:
        return []  # E003 tells
    return [
        message
        for _name, entry in found
        for message in (_of_entry(entry) if isinstance(entry, Entry) else _meaningless(entry))
    ]


def _meaningless(error: ScheduleError) -> Iterator[CheckMessage]:
    yield Error(
        str(error),
        hint="An entry is {'task': 'shop.tasks.count', 'schedule': crontab(hour=4, minute=30)}, "
        "and may have args, kwargs, options, relative and description.",
        id="djtasks.E009",
    )


def _of_entry(entry: Any) -> Iterator[CheckMessage]:
    from djtasks.beat.problems import CannotSendError, UnknownTaskError, check_call

    try:
        check_call(entry.task, entry.args, entry.kwargs)
    except UnknownTaskError as error:
        yield Error(
            f"Schedule {entry.name!r}: {error}",
            hint="Tasks are found in the tasks module of every installed app, and in the modules "
            "that IMPORTS names.",
            id="djtasks.E010",
        )
    except CannotSendError as error:
        yield Error(
            f"Schedule {entry.name!r}: {error}",
            hint="Mend its 'args' and 'kwargs'.",
            id="djtasks.E011",
        )


def check_rows(
    app_configs: Sequence[AppConfig] | None = None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """Enabled schedules in the database can be sent (W012).

    Warnings, for Django runs the checks of a database before it migrates it.
    """
    from django.db import DatabaseError, connections

    from djtasks.conf import conf
    from djtasks.models import PeriodicTask, Source

    try:
        alias = conf.DATABASE
    except ImproperlyConfigured:
        return []
    if alias not in (databases or ()) or connections[alias].vendor != "postgresql":
        return []
    try:
        with connections[alias].cursor() as cursor:
            tables = connections[alias].introspection.table_names(cursor)
        if PeriodicTask._meta.db_table not in tables:
            return []
        rows = list(
            PeriodicTask.objects.using(alias)
            .filter(enabled=True)
            .exclude(source=Source.REMOVED)
            .order_by("name")
        )
    except DatabaseError:
        return []  # Django's own checks say what is wrong with it
    return [message for row in rows for message in _of_row(row)]


def _of_row(row: PeriodicTask) -> Iterator[CheckMessage]:
    from djtasks.beat.problems import CannotSendError, check_row

    try:
        check_row(row)
    except CannotSendError as error:
        yield Warning(
            f"Schedule {row.name!r} in the database cannot be sent: {error}",
            hint="Mend or disable it in the admin.",
            id="djtasks.W012",
        )
