"""System checks: every mistake has an id, says what is wrong, and hints at what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import checks as django_checks
from django.core.checks import CheckMessage
from django.test import override_settings

from djtasks import checks
from djtasks.celery_settings import advice_for
from djtasks.checks import check_database, check_routes, check_settings, check_task_names
from djtasks.conf import SETTINGS
from djtasks.registry import registry


def only(messages: list[CheckMessage], id: str) -> CheckMessage:
    assert [message.id for message in messages] == [id], messages
    assert messages[0].hint
    return messages[0]


def settings_message(table: Any, id: str) -> CheckMessage:
    with override_settings(DJTASKS=table):
        return only(check_settings(), id)


@pytest.fixture
def tasks() -> Iterator[dict[str, Any]]:
    """The names of three tasks, in place of those that are registered."""
    before, duplicates = dict(registry), dict(registry.duplicates)
    registry.clear()
    registry.duplicates.clear()
    registry.update(dict.fromkeys(["shop.tasks.ship", "shop.tasks.pack", "mail.tasks.send"]))  # type: ignore[arg-type]
    yield registry
    registry.clear()
    registry.update(before)
    registry.duplicates.clear()
    registry.duplicates.update(duplicates)


# -- registration ---------------------------------------------------------------------------------


def test_checks_are_registered_and_pass_here() -> None:
    registered = django_checks.registry.registry.registered_checks
    ours = [check for check in registered if check.__module__ == "djtasks.checks"]
    assert len(ours) == 4
    assert django_checks.run_checks(tags=[checks.TAG], databases=[]) == []


@override_settings(DJTASKS={"TASK_ACK_LATE": True})
def test_django_runs_them() -> None:
    assert "djtasks.E002" in [message.id for message in django_checks.run_checks()]


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", [None, {}, {"TASK_ACKS_LATE": True, "LEASE": 7}])
def test_good_settings(table: Any) -> None:
    with override_settings(DJTASKS=table):
        assert check_settings() == []


@override_settings()
def test_no_settings(settings: Any) -> None:
    settings.DJTASKS = {}
    del settings.DJTASKS
    assert check_settings() == []


@pytest.mark.parametrize("table", [[], "TASK_ACKS_LATE", 3])
def test_a_table_that_is_no_dict(table: Any) -> None:
    assert "must be a dict" in settings_message(table, "djtasks.E003").msg


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("TASK_ACK_LATE", "Did you mean 'TASK_ACKS_LATE'?"),
        ("task_acks_late", "Write it 'TASK_ACKS_LATE'."),
        ("CELERY_TASK_ACKS_LATE", "Write it 'TASK_ACKS_LATE'."),
        ("CELERY_ALWAYS_EAGER", "Did you mean 'TASK_ALWAYS_EAGER'?"),
        ("CELERYD_CONCURRENCY", "Did you mean 'WORKER_CONCURRENCY'?"),
        ("DJTASKS_DATABASE", "Write it 'DATABASE'."),
        ("BROKER_URL", "It has no meaning here and may be dropped: messages are rows"),
        ("CELERY_BROKER_URL", "It has no meaning here and may be dropped: messages are rows"),
        ("broker_pool_limit", "may be dropped: it belongs to a message broker"),
        ("REDIS_MAX_CONNECTIONS", "may be dropped: it belongs to another result backend"),
        ("RESULT_BACKEND", "may be dropped: results are rows"),
        ("TASK_SERIALIZER", "may be dropped: what is stored is always typed JSON"),
        ("include", "Write it 'IMPORTS'."),
        ("worker_prefetch_multiplier", "'WORKER_PREFETCH'"),
        ("COLOUR", "Remove it."),
        (3, "The keys of DJTASKS are texts"),
    ],
)
def test_unknown_settings(name: Any, hint: str) -> None:
    message = settings_message({name: 1}, "djtasks.E002")
    assert message.msg == f"DJTASKS[{name!r}]: there is no such setting."
    assert hint in (message.hint or "")


@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_of_ours_is_said_to_have_no_meaning(name: str) -> None:
    assert advice_for(name) is None


@override_settings(DJTASKS_TASK_ACKS_LATE=True, DJTASKS={})
def test_a_setting_outside_of_the_dict() -> None:
    message = only(check_settings(), "djtasks.E002")
    assert message.msg == "The setting DJTASKS_TASK_ACKS_LATE is not read."
    assert "DJTASKS = {..., 'TASK_ACKS_LATE': ...}" in (message.hint or "")


def test_a_wrong_value() -> None:
    message = settings_message({"MAX_DELIVERIES": "5"}, "djtasks.E003")
    assert message.msg == (
        "DJTASKS['MAX_DELIVERIES'] must be a whole number from 1 to 32767; it is '5'."
    )
    assert "The default is 5." in (message.hint or "")


def test_a_wrong_way_to_enqueue() -> None:
    message = settings_message({"ENQUEUE": "later"}, "djtasks.E007")
    assert '"transaction" or "on_commit"' in message.msg


def test_every_mistake_is_told_at_once() -> None:
    with override_settings(DJTASKS={"LEASE": 0, "NO": 1, "ENQUEUE": ""}):
        assert sorted(message.id or "" for message in check_settings()) == [
            *("djtasks.E002", "djtasks.E003", "djtasks.E007"),
        ]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"LEASE": 2}, "DJTASKS['LEASE'] is 2 s, which is not longer than HEARTBEAT_INTERVAL"),
        ({"POOLED_LEASE": 1.5}, "DJTASKS['POOLED_LEASE'] is 1.5 s"),
        ({"TASK_SOFT_TIME_LIMIT": 20, "TASK_TIME_LIMIT": 10}, "longer than TASK_TIME_LIMIT (10 s)"),
    ],
)
def test_contradictions(table: Any, words: str) -> None:
    assert words in settings_message(table, "djtasks.E008").msg


# -- the database ---------------------------------------------------------------------------------


@override_settings(DJTASKS={"DATABASE": "nowhere"})
def test_a_database_that_is_not_there() -> None:
    message = only(check_database(), "djtasks.E006")
    assert message.msg == "DJTASKS['DATABASE'] is 'nowhere', which is not in DATABASES."
    assert "default" in (message.hint or "")


def test_a_database_that_is_not_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import connections

    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    monkeypatch.setitem(connections.settings, "lite", connections.settings["default"] | sqlite)
    with override_settings(DJTASKS={"DATABASE": "lite"}):
        message = only(check_database(), "djtasks.E001")
    assert message.msg == "The database 'lite' is SQLite; djtasks needs PostgreSQL."
    del connections["lite"]


@override_settings(DJTASKS={"DATABASE": 3})
def test_a_wrong_database_setting_is_told_once() -> None:
    assert check_database() == []
    only(check_settings(), "djtasks.E003")


# -- tasks ----------------------------------------------------------------------------------------


def test_a_task_name_of_two_functions(tasks: Any) -> None:
    assert check_task_names() == []
    registry.duplicates["shop.tasks.ship"] = ["shop.tasks.ship", "shop.old.ship"]
    message = only(check_task_names(), "djtasks.E004")
    assert "'shop.tasks.ship' is claimed by 2 callables: shop.tasks.ship, shop.old" in message.msg


@pytest.mark.parametrize(
    "routes",
    [
        None,
        {"shop.tasks.ship": "a", "mail.*": {"queue": "b"}},
        [("shop.tasks.*", "a"), (re.compile(r"mail\."), {"queue": "b"})],
        [{"*": "a"}, lambda name, *args, **kwargs: None],
    ],
)
def test_good_routes(tasks: Any, routes: Any) -> None:
    with override_settings(DJTASKS={"TASK_ROUTES": routes}):
        assert check_routes() == []


@pytest.mark.parametrize(
    ("key", "shown", "hint"),
    [
        ("shop.tasks.shipp", "shop.tasks.shipp", "Did you mean 'shop.tasks.ship'?"),
        ("billing.*", "billing.*", "IMPORTS"),
        (re.compile("billing"), "billing", "IMPORTS"),
    ],
)
def test_a_route_that_matches_nothing(tasks: Any, key: Any, shown: str, hint: str) -> None:
    with override_settings(DJTASKS={"TASK_ROUTES": {"*.ship": "a", key: "b"}}):
        message = only(check_routes(), "djtasks.W005")
    assert message.msg == f"The key {shown!r} of DJTASKS['TASK_ROUTES'] matches no task."
    assert hint in (message.hint or "")


@pytest.mark.parametrize("routes", ["shop.no_such_module.router", [3]])
def test_routes_that_cannot_be_used(tasks: Any, routes: Any) -> None:
    with override_settings(DJTASKS={"TASK_ROUTES": routes}):
        assert "TASK_ROUTES" in only(check_routes(), "djtasks.E003").msg


@override_settings(DJTASKS={"TASK_ROUTES": 3})
def test_wrong_routes_are_told_once(tasks: Any) -> None:
    assert check_routes() == []
    only(check_settings(), "djtasks.E003")
