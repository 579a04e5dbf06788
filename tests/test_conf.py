"""Settings: one table, live values, messages that name the setting."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from djtasks.conf import SETTINGS, Conf, close_match, conf


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_has_what_docs_and_checks_need(name: str) -> None:
    setting = SETTINGS[name]
    assert setting.name == name == name.upper()
    assert setting.help.endswith(".")
    assert setting.type
    assert getattr(Conf, name) is setting


@pytest.mark.parametrize("name", SETTINGS)
def test_every_default_is_what_it_accepts(name: str) -> None:
    setting = SETTINGS[name]
    assert setting.clean(setting.default) == setting.default


@pytest.mark.parametrize("name", SETTINGS)
@override_settings(DJTASKS={})
def test_default(name: str) -> None:
    assert getattr(conf, name) == SETTINGS[name].default


@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_accepts_anything_at_all(name: str) -> None:
    with (
        override_settings(DJTASKS={name: object()}),
        pytest.raises(ImproperlyConfigured, match=re.escape(f"DJTASKS[{name!r}] must be ")),
    ):
        getattr(conf, name)


def test_without_the_setting_all_is_default(settings: Any) -> None:
    if hasattr(settings, "DJTASKS"):
        del settings.DJTASKS
    assert conf.TASK_DEFAULT_QUEUE == "celery"
    assert conf.TASK_DEFAULT_QUEUE == "celery"
    settings.DJTASKS = {"TASK_DEFAULT_QUEUE": "mail"}
    assert conf.TASK_DEFAULT_QUEUE == "mail"


def test_override_settings() -> None:
    with override_settings(DJTASKS={"MAX_DELIVERIES": 7}):
        assert conf.MAX_DELIVERIES == 7
        with override_settings(DJTASKS={"MAX_DELIVERIES": 8}):
            assert conf.MAX_DELIVERIES == 8
        with override_settings(DEBUG=True):
            assert conf.MAX_DELIVERIES == 7
        assert conf.MAX_DELIVERIES == 7
    with override_settings(DJTASKS={}):
        assert conf.MAX_DELIVERIES == 5


@override_settings(DJTASKS={})
def test_a_change_of_the_dict_in_place() -> None:
    assert conf.MAX_DELIVERIES == 5
    settings.DJTASKS["MAX_DELIVERIES"] = 6
    assert conf.MAX_DELIVERIES == 6
    del settings.DJTASKS["MAX_DELIVERIES"]
    assert conf.MAX_DELIVERIES == 5


def test_a_change_of_a_list_in_place() -> None:
    modules = ["a"]
    with override_settings(DJTASKS={"IMPORTS": modules}):
        assert list(conf.IMPORTS) == ["a"]
        modules.append("b")
        assert list(conf.IMPORTS) == ["a", "b"]


def test_a_new_object_in_place_of_the_setting() -> None:
    with override_settings(DJTASKS={"MAX_DELIVERIES": 7}):
        assert conf.MAX_DELIVERIES == 7
        settings.DJTASKS = {"MAX_DELIVERIES": 9}
        assert conf.MAX_DELIVERIES == 9
        del settings.DJTASKS
        assert conf.MAX_DELIVERIES == 5


@override_settings(DJTASKS={"TASK_ACKS_LATE": True, "RESULT_EXPIRES": timedelta(hours=1)})
def test_celerys_spelling() -> None:
    assert conf.task_acks_late is True
    assert conf["task_acks_late"] is conf["TASK_ACKS_LATE"] is True
    assert conf.get("result_expires") == 3600.0
    assert conf.get("no_such_thing", 3) == 3
    assert "task_acks_late" in conf
    assert "no_such_thing" not in conf
    assert list(conf) == list(SETTINGS)


def test_unknown_attribute_names_the_near_one() -> None:
    with pytest.raises(
        AttributeError, match=r"no setting 'task_ack_late'\. Did you mean TASK_ACKS"
    ):
        _ = conf.task_ack_late
    with pytest.raises(AttributeError, match=r"no setting 'zzz'\.$"):
        _ = conf.zzz
    with pytest.raises(KeyError):
        conf["zzz"]


def test_cannot_be_set() -> None:
    with pytest.raises(AttributeError, match=r"override_settings\(DJTASKS=.*'TASK_ALWAYS_EAGER'"):
        conf.task_always_eager = True


@pytest.mark.parametrize("table", [[], "x", 3])
def test_a_table_that_is_no_dict(table: object) -> None:
    with (
        override_settings(DJTASKS=table),
        pytest.raises(ImproperlyConfigured, match=r"settings\.DJTASKS must be a dict"),
    ):
        _ = conf.MAX_DELIVERIES


ACCEPTED = [
    ("ENQUEUE", "on_commit", "on_commit"),
    ("LEASE", timedelta(seconds=3), 3.0),
    ("LISTEN", False, False),
    ("TASK_TIME_LIMIT", None, None),
    ("TASK_TIME_LIMIT", timedelta(minutes=1), 60.0),
    ("TASK_TIME_LIMIT", 0.5, 0.5),
    ("TASK_DEFAULT_PRIORITY", -3, -3),
    ("TASK_QUEUES", ["a", "b"], ["a", "b"]),
    ("TASK_ROUTES", {"a": "b"}, {"a": "b"}),
    ("TASK_ROUTES", len, len),
    ("RESULT_EXPIRES", 0, None),
    ("RESULT_EXPIRES", None, None),
    ("RESULT_EXPIRES", timedelta(days=7), 604800.0),
    ("WORKER_CONCURRENCY", "auto", None),
    ("WORKER_CONCURRENCY", 4, 4),
    ("IMPORTS", ["shop.jobs"], ("shop.jobs",)),
    ("TIMEZONE", "Europe/Berlin", "Europe/Berlin"),
]


@pytest.mark.parametrize(("name", "value", "expected"), ACCEPTED)
def test_accepts(name: str, value: object, expected: object) -> None:
    with override_settings(DJTASKS={name: value}):
        assert getattr(conf, name) == expected


REFUSED = [
    ("ENQUEUE", "later", '"transaction" or "on_commit"'),
    ("DATABASE", "", "a text that is not empty"),
    ("MAX_DELIVERIES", 0, "a whole number from 1 to"),
    ("MAX_DELIVERIES", True, "a whole number from 1 to"),
    ("MAX_DELIVERIES", "5", "a whole number from 1 to"),
    ("MAX_PAYLOAD", 0, "a whole number of bytes from 1"),
    ("LEASE", 0, "more than 0"),
    ("LEASE", float("nan"), "more than 0"),
    ("POLL_INTERVAL", -1, "more than 0"),
    ("TASK_TIME_LIMIT", 0, "None or a number of seconds"),
    ("TASK_TIME_LIMIT", True, "None or a number of seconds"),
    ("TASK_ACKS_LATE", 1, "True or False"),
    ("TASK_ACKS_LATE", "false", "True or False"),
    ("LISTEN", "auto", "None or True or False"),
    ("RESULT_EXPIRES", -1, "0 or more"),
    ("WORKER_CONCURRENCY", 0, 'None, "auto"'),
    ("WORKER_POOL", "gevent", '"prefork" or "threads" or "solo"'),
    ("IMPORTS", "shop.jobs", "a list or tuple of dotted module names"),
    ("IMPORTS", [""], "a list or tuple of dotted module names"),
    ("TIMEZONE", "Mars/Olympus", "the name of a time zone"),
    ("TIMEZONE", 3, "the name of a time zone"),
    ("TASK_ROUTES", 3, "None, a dict of task names"),
]


@pytest.mark.parametrize(("name", "value", "words"), REFUSED)
def test_refuses(name: str, value: object, words: str) -> None:
    with (
        override_settings(DJTASKS={name: value}),
        pytest.raises(ImproperlyConfigured, match=re.escape(words)) as caught,
    ):
        getattr(conf, name)
    assert f"DJTASKS[{name!r}] must be" in str(caught.value)
    assert repr(value) in str(caught.value)


def test_a_wrong_value_is_refused_every_time() -> None:
    with override_settings(DJTASKS={"LEASE": "x"}):
        for _ in range(3):
            with pytest.raises(ImproperlyConfigured):
                _ = conf.LEASE


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TASK_ACK_LATE", "TASK_ACKS_LATE"),
        ("task_acks_late", "TASK_ACKS_LATE"),
        ("CONCURRENCY", "WORKER_CONCURRENCY"),
        ("COLOUR", None),
    ],
)
def test_close_match(name: str, expected: str | None) -> None:
    assert close_match(name) == expected
