"""One schedule that is due: its message, its next time, what goes wrong with it, and the table."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.test import override_settings

from djtasks import Task, app, shared_task, signals
from djtasks.beat.entries import entry_of
from djtasks.beat.loop import Beat
from djtasks.beat.problems import CannotSendError
from djtasks.beat.send import Sender, run_now
from djtasks.codec.types import TAG
from djtasks.models import Message, PeriodicTask, TaskResult
from djtasks.registry import registry
from djtasks.schedules import crontab, schedule
from djtasks.testing import run_tasks
from tests.testapp.models import Note

pytestmark = pytest.mark.usefixtures("empty")

ADD = "tests.testapp.tasks.add"


def row(name: str = "count", /, **values: Any) -> PeriodicTask:
    """A schedule of every hour, planned and due since some seconds, unless told otherwise."""
    given = {
        "task": ADD,
        "schedule": schedule(3600).to_json(),
        "args": [1, 2],
        "planned": True,
        "next_run_at": datetime.now(UTC) - timedelta(seconds=20),
        **values,
    }
    return PeriodicTask.objects.create(name=name, **given)


def send_all(sender: Sender | None = None) -> int:
    """Send what is due; returns how many rows were looked at."""
    sender = sender or Sender("default")
    count = 0
    while sender.send_one():
        count += 1
        assert count < 100
    return count


def edit(found: PeriodicTask, **values: Any) -> None:
    """Change a row as somebody does who writes SQL."""
    PeriodicTask.objects.filter(pk=found.pk).update(**values)


def sent() -> Message:
    return Message.objects.get()


@contextmanager
def a_task(name: str) -> Iterator[None]:
    """A task that is known within the block only."""
    shared_task(name=name)(lambda: None)
    try:
        yield
    finally:
        registry.unregister(name)


# --- what is sent ------------------------------------------------------------------------------


def test_a_schedule_that_is_due_is_sent_once_and_planned_anew() -> None:
    found = row()
    assert send_all() == 1
    message = sent()
    assert (message.task, message.payload, message.queue) == (ADD, "[[1,2],{}]", "celery")
    assert send_all() == 0
    found.refresh_from_db()
    assert found.last_task_id == message.id
    assert found.total_run_count == 1
    assert found.last_run_at is not None
    assert found.next_run_at is not None
    assert timedelta() < found.next_run_at - found.last_run_at <= timedelta(hours=1)


def test_the_message_tells_its_schedule_and_its_tick() -> None:
    found = row("every hour")
    due = found.next_run_at
    send_all()
    message = sent()
    assert '"periodic_task_name":"every hour"' in (message.options or "").replace('": "', '":"')
    assert due is not None
    assert due.astimezone(UTC).isoformat() in (message.options or "")


def test_a_task_finds_the_name_of_its_schedule_in_its_request() -> None:
    row("mine", task="tests.testapp.tasks.describe", args=[])
    send_all()
    (ran,) = run_tasks()
    assert ran.result["headers"]["periodic_task_name"] == "mine"


def test_options_of_the_call_are_those_of_the_row() -> None:
    row(queue="mail", priority=7, expires=60, headers={"a": "b"}, options={"countdown": 30})
    send_all()
    message = sent()
    assert (message.queue, message.priority) == ("mail", 7)
    assert message.eta is not None
    assert message.expires is not None
    assert timedelta(seconds=29) < message.expires - message.eta < timedelta(seconds=31)
    assert '"a"' in (message.options or "")


def test_routes_hold_as_for_every_call() -> None:
    row()
    with override_settings(DJTASKS={"TASK_ROUTES": {ADD: "routed"}}):
        send_all()
    assert sent().queue == "routed"


def test_arguments_keep_their_types() -> None:
    given = {"task": ADD, "schedule": 60, "args": (Decimal("1.5"), Decimal(2))}
    columns = entry_of("typed", given).columns()
    row("typed", **columns)
    send_all()
    (ran,) = run_tasks()
    assert ran.result == Decimal("3.5")


def test_links_are_called() -> None:
    from tests.testapp import tasks

    given = {"task": ADD, "schedule": 60, "args": (1, 2), "options": {"link": tasks.add.s(10)}}
    row("linked", **entry_of("linked", given).columns())
    send_all()
    assert [ran.result for ran in run_tasks()] == [3, 13]


def test_a_mode_of_enqueueing_does_not_tear_message_and_schedule_apart() -> None:
    row()
    with override_settings(DJTASKS={"ENQUEUE": "on_commit"}), transaction.atomic():
        send_all()
        assert Message.objects.count() == 1


def test_late_ticks_are_one_run() -> None:
    row(
        since=datetime.now(UTC) - timedelta(days=9),
        next_run_at=datetime.now(UTC) - timedelta(days=3),
    )
    assert send_all() == 1
    assert Message.objects.count() == 1


def test_a_new_row_is_planned_before_it_is_sent() -> None:
    found = PeriodicTask.objects.create(name="new", task=ADD, schedule=schedule(60).to_json())
    assert send_all() == 1
    found.refresh_from_db()
    assert found.planned
    assert found.next_run_at is not None
    assert not Message.objects.exists()
    assert found.next_run_at - found.since == timedelta(seconds=60)


def test_a_one_off_is_over_when_it_was_sent() -> None:
    found = row(one_off=True)
    send_all()
    found.refresh_from_db()
    assert found.is_finished
    assert found.enabled
    assert Message.objects.count() == 1


@pytest.mark.parametrize("values", [{"enabled": False}, {"source": "removed"}])
def test_what_is_disabled_or_removed_is_not_sent(values: dict[str, Any]) -> None:
    row(**values)
    assert send_all() == 0


def test_a_crontab_beyond_the_deadline_is_not_made_up_for() -> None:
    month_ago = datetime.now(UTC) - timedelta(days=30)
    hour = (datetime.now(UTC) - timedelta(hours=3)).hour
    found = row(
        schedule=crontab(minute=0, hour=hour, timezone="UTC").to_json(),
        since=month_ago,
        next_run_at=month_ago,
    )
    with override_settings(DJTASKS={"BEAT_CRON_STARTING_DEADLINE": 600}):
        assert send_all() == 1
    found.refresh_from_db()
    assert not Message.objects.exists()
    assert found.total_run_count == 0
    assert found.next_run_at is not None
    assert found.next_run_at > datetime.now(UTC)


@pytest.mark.django_db(databases=["default", "other"])
def test_messages_are_written_where_the_schedules_are() -> None:
    now = datetime.now(UTC)
    PeriodicTask.objects.using("other").create(
        name="there",
        task=ADD,
        args=[1, 2],
        schedule=schedule(9).to_json(),
        planned=True,
        next_run_at=now,
    )
    assert Sender("other").send_one()
    assert Message.objects.using("other").filter(task=ADD).count() == 1
    assert not Message.objects.exists()


# --- what goes wrong ---------------------------------------------------------------------------

DEEP = "[" * 3_000 + "]" * 3_000

BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"args": [1, 2, 3]}, "cannot be called like that"),
    ({"args": {"a": 1}}, "args must be a JSON list"),
    ({"kwargs": [1]}, "kwargs must be a JSON object"),
    ({"kwargs": {"z": 1}}, "unexpected keyword argument 'z'"),
    ({"args": [{TAG: "nonsense", "v": 1}, 2]}, "nonsense"),
    ({"headers": 7}, "headers must be a JSON object"),
    ({"options": ["x"]}, "options must be a JSON object"),
    ({"options": {"quque": "x"}}, "quque"),
    ({"schedule": {"type": "crontab"}}, "crontab lacks"),
    ({"schedule": [1]}, "must be a JSON object whose 'type'"),
    ({"schedule": {"type": "schedule", "run_every": -1, "relative": False}}, "longer than 0"),
    ({"task": "tests.testapp.tasks.ad"}, "Did you mean 'tests.testapp.tasks.add'?"),
    ({"queue": "x" * 5000}, "queue"),
    ({"priority": 2**31 - 1, "expires": -1e300}, "expires"),
]


@pytest.mark.parametrize(("values", "said"), BROKEN, ids=[said for _values, said in BROKEN])
def test_a_broken_row_says_why_and_stops_no_other(
    values: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = row("broken", next_run_at=datetime.now(UTC) - timedelta(seconds=30), **values)
    row("good")
    sender = Sender("default")
    with caplog.at_level(logging.ERROR, "djtasks.beat"):
        assert send_all(sender) == 2
        assert send_all(sender) == 0
        assert send_all(Sender("default")) == 1  # another process tries it too, and says nothing
    broken.refresh_from_db()
    assert said in broken.error
    assert [record.getMessage().count("broken") for record in caplog.records] == [1]
    assert sent().options is not None
    assert "good" in (sent().options or "")
    assert broken.next_run_at is not None
    assert broken.total_run_count == 0


def test_a_row_that_python_cannot_even_read_stops_no_other() -> None:
    broken = row("broken")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE djtasks_periodictask SET kwargs = %s::jsonb", (DEEP,))
    row("good")
    assert send_all() == 2
    assert "good" in (sent().options or "")
    (error,) = PeriodicTask.objects.filter(pk=broken.pk).values_list("error", flat=True)
    # From Python 3.13 on it can be read, and is no mapping.
    assert "RecursionError" in error or "kwargs must be a JSON object" in error


@pytest.mark.parametrize("time", ["infinity", "-infinity", "20000-01-01"])
def test_times_that_python_has_not_are_refused_by_the_table(time: str) -> None:
    row()
    with connection.cursor() as cursor:
        for column in ("start_time", "end_time"):
            with pytest.raises(IntegrityError, match="_times"), transaction.atomic():
                cursor.execute(f"UPDATE djtasks_periodictask SET {column} = %s", (time,))


def test_a_row_that_was_mended_is_sent_at_once_and_its_error_is_gone() -> None:
    broken = row(args=[1, 2, 3])
    sender = Sender("default")
    send_all(sender)
    edit(broken, args=[1, 2])
    broken.refresh_from_db()
    assert broken.error == ""
    assert send_all(sender) == 1
    assert sent().payload == "[[1,2],{}]"


def test_a_task_that_becomes_known_is_sent() -> None:
    late = row(task="tests.later")
    send_all()
    late.refresh_from_db()
    assert "no task 'tests.later'" in late.error
    with a_task("tests.later"):
        edit(late, args=[])
        assert send_all() == 1
    late.refresh_from_db()
    assert late.error == ""
    assert sent().task == "tests.later"


def test_an_unknown_task_is_left_to_others_for_some_seconds_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    late = row(task="tests.later", next_run_at=datetime.now(UTC) - timedelta(seconds=1))
    sender = Sender("default")
    assert send_all(sender) == 1
    late.refresh_from_db()
    assert late.error == ""
    assert not caplog.records
    due = sender.next_due()
    assert due is not None
    assert 5 < due < 10


def test_who_could_not_send_looks_again_after_a_minute() -> None:
    row(args=[1, 2, 3])
    sender = Sender("default")
    send_all(sender)
    due = sender.next_due()
    assert due is not None
    assert 50 < due <= 60


def test_nothing_of_a_row_that_fails_is_written() -> None:
    class Half(Task[..., Any]):
        """Writes, and then does not call."""

        name = "tests.half"

        def run(self) -> None: ...

        def apply_async(self, *args: Any, **options: Any) -> Any:
            Note.objects.create(text="half")
            super().apply_async(*args, **options)
            raise RuntimeError("half way")

    app.register_task(Half)
    try:
        half = row(task="tests.half", args=[])
        send_all()
    finally:
        registry.unregister("tests.half")
    half.refresh_from_db()
    assert half.error == "RuntimeError: half way"
    assert not Message.objects.exists()
    assert not Note.objects.exists()


def test_receivers_of_publishing_are_called() -> None:
    heard = []

    def hear(sender: str, headers: dict[str, Any], **kwargs: Any) -> None:
        heard.append((sender, headers["periodic_task_name"]))

    signals.before_task_publish.connect(hear)
    try:
        row("heard")
        send_all()
    finally:
        signals.before_task_publish.disconnect(hear)
    assert heard == [(ADD, "heard")]


# --- by hand -----------------------------------------------------------------------------------


def test_a_run_by_hand_changes_no_tick() -> None:
    found = row(next_run_at=datetime.now(UTC) + timedelta(hours=1), enabled=False)
    before = PeriodicTask.objects.get().next_run_at
    task_id = run_now(found)
    after = PeriodicTask.objects.get()
    assert sent().id == task_id == after.last_task_id
    assert (after.next_run_at, after.total_run_count) == (before, 1)
    assert '"periodic_due_at"' not in (sent().options or "")


def test_a_broken_row_cannot_be_run_by_hand_either() -> None:
    with pytest.raises(CannotSendError, match="cannot be called like that"):
        run_now(row(args=[1]))
    with pytest.raises(CannotSendError, match="Did you mean"):
        run_now(row("other", task="tests.testapp.tasks.ad"))


# --- the table ---------------------------------------------------------------------------------


def test_saving_a_row_that_was_read_before_a_run_undoes_no_run() -> None:
    row()
    stale = PeriodicTask.objects.get()
    send_all()
    stale.description = "edited"
    stale.save()
    assert send_all() == 0
    assert PeriodicTask.objects.get().total_run_count == 1
    assert Message.objects.count() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"schedule": schedule(60).to_json()},
        {"start_time": datetime(2020, 1, 1, tzinfo=UTC)},
        {"enabled": False},
        {"source": "removed"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_decides_when_it_runs_has_it_planned_anew(change: dict[str, Any]) -> None:
    found = row(next_run_at=datetime.now(UTC) + timedelta(hours=1))
    edit(found, **change)
    after = PeriodicTask.objects.get()
    assert not after.planned
    assert after.since > found.since
    assert after.next_run_at == after.since


@pytest.mark.parametrize("change", [{"args": [3, 4]}, {"end_time": None}, {"one_off": True}])
def test_what_does_not_leaves_the_plan_alone(change: dict[str, Any]) -> None:
    found = row(
        next_run_at=datetime.now(UTC) + timedelta(hours=1),
        end_time=datetime(2999, 1, 1, tzinfo=UTC),
    )
    edit(found, **change)
    after = PeriodicTask.objects.get()
    assert after.planned
    assert (after.since, after.next_run_at) == (found.since, found.next_run_at)
    assert after.changed_at > found.changed_at


def test_one_that_is_over_counts_again_from_when_its_end_is_moved() -> None:
    found = row(planned=True, next_run_at=None, end_time=datetime(2020, 1, 1, tzinfo=UTC))
    assert found.is_finished
    edit(found, end_time=None)
    send_all()
    after = PeriodicTask.objects.get()
    assert after.next_run_at is not None
    assert after.next_run_at - after.since == timedelta(hours=1)


def test_what_beats_write_is_no_change() -> None:
    row()
    before = PeriodicTask.objects.get().changed_at
    send_all()
    PeriodicTask.objects.update(description="more", total_run_count=F("total_run_count") + 1)
    assert PeriodicTask.objects.get().changed_at == before


def test_the_statements_read_the_index_of_what_is_due() -> None:
    from djtasks.beat.sql import load

    for number in range(300):
        row(f"row {number}", next_run_at=datetime.now(UTC) + timedelta(hours=number))
    left: dict[str, Any] = {"left": [1], "changed": [datetime.now(UTC)]}
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE djtasks_periodictask")
        for name in ("take", "next_due"):
            cursor.execute("EXPLAIN " + load(name), left)
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "djtasks_periodictask_due" in plan, plan
            assert "Seq Scan on djtasks_periodictask" not in plan, plan


def test_a_row_whose_results_expired_keeps_its_count() -> None:
    row()
    send_all()
    run_tasks()
    TaskResult.objects.all().delete()
    assert PeriodicTask.objects.get().total_run_count == 1


def test_a_beat_tells_that_it_begins_and_ends_when_it_is_to_stop() -> None:
    heard = []

    def hear(sender: Any, signal: signals.TaskSignal, **kwargs: Any) -> None:
        heard.append((signal.name, sender))

    for signal in (signals.beat_init, signals.beat_embedded_init):
        signal.connect(hear)
    ours, theirs = socket.socketpair()
    ours.close()
    try:
        with theirs:
            beat = Beat("other", theirs)
            beat.run(embedded=True)
    finally:
        for signal in (signals.beat_init, signals.beat_embedded_init):
            signal.disconnect(hear)
    assert heard == [("beat_init", beat), ("beat_embedded_init", beat)]
