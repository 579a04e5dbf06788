"""Schedules of the settings: what entries mean, their rows, and the system checks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import override_settings

from djtasks import app, chain
from djtasks.beat import entries
from djtasks.beat.entries import entry_of
from djtasks.beat.seed import seed
from djtasks.exceptions import DjtasksWarning, ScheduleError
from djtasks.models import Message, PeriodicTask, Source
from djtasks.periodic_checks import check_entries, check_rows
from djtasks.schedules import clocked, crontab, schedule, solar
from djtasks.signals import AppSignal
from tests.testapp import tasks

ADD = "tests.testapp.tasks.add"
HOURLY = {"task": ADD, "schedule": crontab(minute=0), "args": (1, 2)}


@pytest.fixture(autouse=True)
def nothing_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """What tests add is forgotten after them."""
    monkeypatch.setattr(entries, "_added", {})


def settings(**schedules: Any) -> Any:
    """These schedules, in the settings."""
    return override_settings(DJTASKS={"BEAT_SCHEDULE": schedules})


# --- entries -----------------------------------------------------------------------------------


def test_an_entry_has_celery_s_form() -> None:
    entry = entry_of(
        "report",
        {
            "task": ADD,
            "schedule": timedelta(minutes=5),
            "relative": True,
            "args": [1],
            "kwargs": {"b": date(2026, 1, 2)},
            "options": {
                "queue": "mail",
                "priority": 3,
                "expires": timedelta(minutes=1),
                "headers": {"a": 1},
                "time_limit": 30,
                "exchange": "ignored",
            },
        },
    )
    assert entry.schedule == schedule(300, relative=True)
    assert entry.args == [1]
    assert set(entry.kwargs) == {"b"}
    assert (entry.queue, entry.priority, entry.expires) == ("mail", 3, 60.0)
    assert entry.headers == {"a": 1}
    assert entry.options == {"timelimit": [30, None]}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (30, schedule(30)),
        (0.5, schedule(0.5)),
        (timedelta(days=1), schedule(86400)),
        (crontab(hour=4), crontab(hour=4)),
        (solar("sunset", 52.5, 13.4), solar("sunset", 52.5, 13.4)),
        (clocked(datetime(2030, 1, 1, tzinfo=UTC)), clocked(datetime(2030, 1, 1, tzinfo=UTC))),
    ],
)
def test_a_schedule_may_be_any_that_celery_takes(given: Any, expected: Any) -> None:
    assert entry_of("x", {"task": ADD, "schedule": given}).schedule == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"task": ADD}, "Schedule 'x': it has no 'schedule'."),
        ({"schedule": 3}, "it has no 'task'"),
        ({"task": ADD, "schedule": 3, "arg": ()}, "no key 'arg'. Did you mean 'args'"),
        ({"task": ADD, "schedule": 3, "queue": "q"}, "Write 'options': {'queue': ...}"),
        ({"task": ADD, "schedule": "often"}, "A schedule must be a number of seconds"),
        ({"task": ADD, "schedule": 0}, "longer than 0"),
        ({"task": ADD, "schedule": 3, "args": 3}, "args must be a list or tuple"),
        ({"task": ADD, "schedule": 3, "args": "ab"}, "args must be a list or tuple"),
        ({"task": ADD, "schedule": 3, "args": (object(),)}, r"Cannot store args\[0\]"),
        ({"task": ADD, "schedule": 3, "options": {"quue": "q"}}, "Did you mean 'queue'"),
        ({"task": ADD, "schedule": 3, "options": {"eta": 1}}, "the schedule says when"),
        ({"task": ADD, "schedule": 3, "options": {"expires": -1}}, "more than 0"),
        ({"task": ADD, "schedule": 3, "options": {"priority": "high"}}, "whole number"),
        ({"task": ADD, "schedule": 3, "options": []}, None),
        ({"task": ADD, "schedule": 3, "options": [1]}, "options must be a dict"),
        ({"task": 7, "schedule": 3}, "task must be the name of a task"),
        ("daily", "it must be a dict"),
    ],
)
def test_an_entry_that_means_nothing_says_what_to_write(given: Any, said: str | None) -> None:
    if said is None:
        entry_of("x", given)
        return
    with pytest.raises(ScheduleError, match=said):
        entry_of("x", given)


# --- the app -----------------------------------------------------------------------------------


def test_a_task_is_added_as_in_celery() -> None:
    assert app.add_periodic_task(10.0, tasks.add.s(1, 2), name="often", queue="q") == "often"
    by_itself = app.add_periodic_task(crontab(hour=7), tasks.add.s(3), args=(4,), expires=5)
    found = dict(entries.entries())
    assert set(found) == {"often", by_itself}
    assert "add" in by_itself
    often, daily = found["often"], found[by_itself]
    assert isinstance(often, entries.Entry)
    assert isinstance(daily, entries.Entry)
    assert (often.task, often.args, often.queue) == (ADD, [1, 2], "q")
    assert (daily.args, daily.expires) == ([4, 3], 5)


def test_a_task_itself_can_be_added() -> None:
    app.add_periodic_task(10, tasks.add, (1, 2), name="plain")
    ((_name, entry),) = entries.entries()
    assert isinstance(entry, entries.Entry)
    assert entry.args == [1, 2]


def test_a_second_one_of_a_name_takes_the_place_of_the_first_with_a_warning() -> None:
    app.add_periodic_task(10, tasks.add.s(1, 2), name="same")
    with pytest.warns(DjtasksWarning, match="'same' was added before"):
        app.add_periodic_task(20, tasks.add.s(1, 2), name="same")
    ((_name, entry),) = entries.entries()
    assert isinstance(entry, entries.Entry)
    assert entry.schedule == schedule(20)


def test_what_code_adds_takes_the_place_of_the_setting_s() -> None:
    app.add_periodic_task(10, tasks.add.s(1, 2), name="hourly")
    with settings(hourly=HOURLY):
        ((_name, entry),) = entries.entries()
    assert isinstance(entry, entries.Entry)
    assert entry.schedule == schedule(10)


def test_workflows_are_refused_with_a_way_out() -> None:
    with pytest.raises(TypeError, match="call it in a task"):
        app.add_periodic_task(10, chain(tasks.add.s(1, 2), tasks.add.s(3)))
    with pytest.raises(TypeError, match="needs a task or a signature"):
        app.add_periodic_task(10, "tests.testapp.tasks.add")


def test_receivers_of_the_app_s_signals_are_called_once_however_late_they_are() -> None:
    signal = AppSignal("on_after_configure", "source")
    heard = []

    @signal.connect
    def early(sender: Any, **kwargs: Any) -> None:
        heard.append(("early", sender))

    signal.emit(app, source=None)

    @signal.connect(weak=False)
    def late(sender: Any, **kwargs: Any) -> None:
        heard.append(("late", sender))

    assert heard == [("early", app), ("late", app)]


def test_the_app_has_told_that_it_is_set_up() -> None:
    heard = []

    def hear(sender: Any, **kwargs: Any) -> None:
        heard.append(sender)

    for signal in (app.on_configure, app.on_after_configure, app.on_after_finalize):
        signal.connect(hear)
        signal.disconnect(hear)
    assert heard == [app] * 3


# --- rows --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("empty")
class TestRows:
    """What starting workers write."""

    def test_a_start_makes_rows_and_another_changes_nothing(self) -> None:
        with settings(hourly=HOURLY):
            seed()
            (made,) = PeriodicTask.objects.values()
            seed()
        assert PeriodicTask.objects.values().get() == made
        assert (made["name"], made["task"], made["args"]) == ("hourly", ADD, [1, 2])
        assert made["source"] == Source.SETTINGS
        assert made["enabled"]

    def test_a_change_of_the_settings_changes_the_row_and_nothing_else(self) -> None:
        with settings(hourly=HOURLY):
            seed()
        PeriodicTask.objects.update(total_run_count=5, enabled=False)
        with settings(hourly={**HOURLY, "args": (3, 4)}):
            seed()
        row = PeriodicTask.objects.get()
        assert (row.args, row.total_run_count, row.enabled) == ([3, 4], 5, False)

    def test_one_that_is_not_in_the_settings_any_more_stays_and_is_not_sent(self) -> None:
        with settings(hourly=HOURLY, daily=HOURLY):
            seed()
        PeriodicTask.objects.filter(name="daily").update(enabled=False)
        with settings(hourly=HOURLY):
            seed()
        assert PeriodicTask.objects.get(name="daily").source == Source.REMOVED
        with settings(hourly=HOURLY, daily=HOURLY):
            seed()
        back = PeriodicTask.objects.get(name="daily")
        assert back.source == Source.SETTINGS
        assert not back.enabled

    def test_it_is_deleted_after_a_week(self) -> None:
        with settings(hourly=HOURLY):
            seed()
        with settings():
            seed()
        PeriodicTask.objects.update(changed_at=datetime.now(UTC) - timedelta(days=8))
        with settings():
            seed()
        assert not PeriodicTask.objects.exists()

    def test_one_of_the_admin_is_left_alone(self, caplog: pytest.LogCaptureFixture) -> None:
        PeriodicTask.objects.create(name="hourly", task=ADD, schedule=schedule(5).to_json())
        with settings(hourly=HOURLY):
            seed()
        row = PeriodicTask.objects.get()
        assert row.source == Source.ADMIN
        assert row.schedule == schedule(5).to_json()
        assert "'hourly' of the settings is left out" in caplog.text

    def test_an_entry_that_means_nothing_stops_no_other(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with settings(hourly=HOURLY, bad=HOURLY):
            seed()
        with settings(hourly=HOURLY, bad={"task": ADD}):
            seed()
        # It may be a slip of the pen: what was there goes on.
        assert PeriodicTask.objects.filter(source=Source.SETTINGS).count() == 2
        assert "Schedule 'bad': it has no 'schedule'. It is left out." in caplog.text

    def test_a_moment_that_was_changed_comes_again(self) -> None:
        first = datetime(2030, 1, 1, tzinfo=UTC)
        with settings(once={**HOURLY, "schedule": clocked(first)}):
            seed()
        PeriodicTask.objects.update(planned=True, next_run_at=None)
        with settings(once={**HOURLY, "schedule": clocked(first + timedelta(days=1))}):
            seed()
        assert not PeriodicTask.objects.get().is_finished


@pytest.mark.usefixtures("live")
def test_workers_that_start_at_the_same_time_do_not_disturb_each_other() -> None:
    def start(number: int) -> None:
        seed()
        connections.close_all()

    with settings(**{f"s{n}": HOURLY for n in range(5)}), ThreadPoolExecutor(6) as pool:
        list(pool.map(start, range(12)))
    assert PeriodicTask.objects.filter(source=Source.SETTINGS).count() == 5


# --- checks ------------------------------------------------------------------------------------


def ids(found: list[checks.CheckMessage]) -> list[str | None]:
    return [message.id for message in found]


def test_schedules_that_can_be_sent_pass_the_check() -> None:
    with settings(hourly=HOURLY):
        assert check_entries() == []


@pytest.mark.parametrize(
    ("entry", "id", "said"),
    [
        ({"task": ADD}, "djtasks.E009", "has no 'schedule'"),
        ({**HOURLY, "shedule": 1}, "djtasks.E009", "Did you mean 'schedule'"),
        ({**HOURLY, "task": ADD[:-1]}, "djtasks.E010", "Did you mean 'tests.testapp.tasks.add'"),
        ({**HOURLY, "args": ()}, "djtasks.E011", "missing 2 required positional arguments"),
        ({**HOURLY, "kwargs": {"c": 1}}, "djtasks.E011", "unexpected keyword argument 'c'"),
    ],
)
def test_those_that_cannot_fail_it(entry: Any, id: str, said: str) -> None:
    with settings(bad=entry):
        (found,) = check_entries()
    assert found.id == id
    assert "'bad'" in found.msg
    assert said in found.msg
    assert found.level == checks.ERROR


def test_a_setting_that_is_no_dict_is_said_once() -> None:
    with override_settings(DJTASKS={"BEAT_SCHEDULE": [1]}):
        assert check_entries() == []
        with pytest.raises(CommandError, match="E003"):
            call_command("check", tags=["djtasks"])


@pytest.mark.usefixtures("empty")
def test_rows_are_checked_with_the_database() -> None:
    PeriodicTask.objects.create(name="good", **entry_of("good", HOURLY).columns())
    PeriodicTask.objects.create(name="bad", task=ADD, schedule=schedule(5).to_json(), args=[1])
    PeriodicTask.objects.create(name="worse", task=ADD, schedule={"type": "x"})
    PeriodicTask.objects.create(name="off", task="gone", schedule={}, enabled=False)
    found = check_rows(databases=["default"])
    assert ids(found) == ["djtasks.W012"] * 2
    assert "'bad'" in found[0].msg
    assert "'worse'" in found[1].msg
    assert check_rows(databases=[]) == check_rows() == []


def test_the_check_command_fails_for_an_unknown_task() -> None:
    with settings(bad={**HOURLY, "task": "nowhere"}), pytest.raises(CommandError, match="E010"):
        call_command("check", tags=["djtasks"])


@pytest.mark.usefixtures("empty")
def test_nothing_is_sent_by_a_start() -> None:
    with settings(hourly=HOURLY):
        seed()
    assert not Message.objects.exists()
