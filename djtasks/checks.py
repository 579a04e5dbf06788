"""The system checks of djtasks, run by ``manage.py check`` and by every command at start.

========  =========================================================================
E001      the database of the setting DATABASE is not PostgreSQL
E002      a setting that does not exist
E003      a setting whose value cannot be used
E004      two callables under one task name
W005      a key of TASK_ROUTES that matches no task
E006      the setting DATABASE names no database of DATABASES
E007      the setting ENQUEUE has an unknown value
E008      settings that contradict each other
E009 …    schedules: :mod:`djtasks.periodic_checks`
========  =========================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured

from djtasks import periodic_checks
from djtasks.celery_settings import advice_for
from djtasks.conf import SETTINGS, close_match, conf

__all__ = ["TAG", "register"]

#: ``manage.py check --tag djtasks``
TAG = "djtasks"


def register() -> None:
    """Register every check with Django; registering them again changes nothing."""
    for check in (check_settings, check_database, check_task_names, check_routes):
        checks.register(check, TAG)
    checks.register(periodic_checks.check_entries, TAG)
    checks.register(periodic_checks.check_rows, TAG, checks.Tags.database)


# -- settings -------------------------------------------------------------------------------------


def check_settings(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Unknown settings, wrong values, contradictions (E002, E003, E007, E008)."""
    found: list[CheckMessage] = [
        Error(
            f"The setting {name} is not read.",
            hint=f"Write DJTASKS = {{..., {name.removeprefix('DJTASKS_')!r}: ...}}.",
            id="djtasks.E002",
        )
        for name in dir(settings)
        if name.startswith("DJTASKS_")
    ]
    table = getattr(settings, "DJTASKS", None)
    if table is None:
        return found
    if not isinstance(table, Mapping):
        return [
            *found,
            Error(
                f"The setting DJTASKS must be a dict; it is {table!r}.",
                hint='Write DJTASKS = {"TASK_TIME_LIMIT": 300} in your settings.',
                id="djtasks.E003",
            ),
        ]
    wrong = [message for name in table for message in _check_setting(name)]
    return [*found, *wrong] if wrong else [*found, *_contradictions()]


def _check_setting(name: Any) -> Iterator[CheckMessage]:
    if name not in SETTINGS:
        yield Error(
            f"DJTASKS[{name!r}]: there is no such setting.",
            hint=_hint_for_unknown(name),
            id="djtasks.E002",
        )
        return
    try:
        getattr(conf, name)
    except ImproperlyConfigured as error:
        setting = SETTINGS[name]
        yield Error(
            str(error),
            hint=f"{setting.help} The default is {setting.default!r}.",
            id="djtasks.E007" if name == "ENQUEUE" else "djtasks.E003",
        )


def _hint_for_unknown(name: Any) -> str:
    if not isinstance(name, str):
        return "The keys of DJTASKS are texts, such as 'TASK_TIME_LIMIT'."
    plain = name.upper()
    for prefix in ("CELERY_", "CELERYD_", "DJTASKS_"):
        plain = plain.removeprefix(prefix)
    if plain in SETTINGS:
        return f"Write it {plain!r}."
    advice = advice_for(plain)
    if advice is not None:
        return advice
    match = close_match(plain)
    if match is not None:
        return f"Did you mean {match!r}?"
    return "Remove it. docs/settings.md lists all settings."


def _contradictions() -> Iterator[CheckMessage]:
    for name in ("LEASE", "POOLED_LEASE"):
        lease = getattr(conf, name)
        if lease <= conf.HEARTBEAT_INTERVAL:
            yield Error(
                f"DJTASKS[{name!r}] is {lease} s, which is not longer than HEARTBEAT_INTERVAL "
                f"({conf.HEARTBEAT_INTERVAL} s): every worker would be given up between two "
                "heartbeats.",
                hint=f"Make {name} at least twice HEARTBEAT_INTERVAL.",
                id="djtasks.E008",
            )
    soft, hard = conf.TASK_SOFT_TIME_LIMIT, conf.TASK_TIME_LIMIT
    if soft is not None and hard is not None and soft > hard:
        yield Error(
            f"DJTASKS['TASK_SOFT_TIME_LIMIT'] is {soft} s, longer than TASK_TIME_LIMIT ({hard} s): "
            "tasks would be killed before they are warned.",
            hint="Make TASK_SOFT_TIME_LIMIT smaller than TASK_TIME_LIMIT.",
            id="djtasks.E008",
        )


# -- the database ---------------------------------------------------------------------------------


def check_database(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """The alias of the setting DATABASE exists and is PostgreSQL (E001, E006)."""
    from django.db import connections

    try:
        alias = conf.DATABASE
    except ImproperlyConfigured:
        return []  # E003 tells
    if alias not in connections:
        return [
            Error(
                f"DJTASKS['DATABASE'] is {alias!r}, which is not in DATABASES.",
                hint=f"Use one of these aliases: {', '.join(sorted(connections))}.",
                id="djtasks.E006",
            )
        ]
    connection = connections[alias]
    if connection.vendor == "postgresql":
        return []
    return [
        Error(
            f"The database {alias!r} is {connection.display_name}; djtasks needs PostgreSQL.",
            hint=(
                f"Set the ENGINE of DATABASES[{alias!r}] to 'django.db.backends.postgresql', or "
                "point DJTASKS['DATABASE'] to an alias that uses it."
            ),
            id="djtasks.E001",
        )
    ]


# -- tasks ----------------------------------------------------------------------------------------


def check_task_names(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """No task name belongs to two different callables (E004)."""
    from djtasks.registry import registry

    return [
        Error(
            f"The task name {name!r} is claimed by {len(claims)} callables: {', '.join(claims)}. "
            "Calls reach only one of them.",
            hint="Give each a name of its own: @shared_task(name=...).",
            id="djtasks.E004",
        )
        for name, claims in sorted(registry.duplicates.items())
    ]


def check_routes(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Every key of TASK_ROUTES matches a task, and every router can be loaded (E003, W005)."""
    from djtasks.registry import registry
    from djtasks.routing import MapRoute, prepare

    try:
        routers = prepare(conf.TASK_ROUTES)
    except ImproperlyConfigured:
        return []  # E003 tells
    except (ImportError, TypeError, ValueError) as error:
        return [
            Error(
                f"DJTASKS['TASK_ROUTES'] cannot be used: {error}",
                hint=SETTINGS["TASK_ROUTES"].type.capitalize() + ".",
                id="djtasks.E003",
            )
        ]
    names = list(registry)
    return [
        Warning(
            f"The key {key!r} of DJTASKS['TASK_ROUTES'] matches no task.",
            hint=_hint_for_route(key, names),
            id="djtasks.W005",
        )
        for router in routers
        if isinstance(router, MapRoute)
        for key in router.unmatched(names)
    ]


def _hint_for_route(key: str, names: Sequence[str]) -> str:
    import difflib

    matches = difflib.get_close_matches(key, names, n=1, cutoff=0.7)
    if matches:
        return f"Did you mean {matches[0]!r}?"
    return (
        "Use the name of a task, or a pattern such as 'shop.tasks.*'. Tasks are found in the tasks "
        "module of every installed app, and in the modules that IMPORTS names."
    )
