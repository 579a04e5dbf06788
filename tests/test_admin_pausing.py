"""Pausing and resuming tasks in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from djtasks import control
from djtasks.models import Message, MessageState, TaskSetting
from tests.admin_pages import ended, queued, read, signed_in, url
from tests.testapp.tasks import add

pytestmark = pytest.mark.usefixtures("empty")

VIEWS = ("view_overview", "view_taskrecord")
EVIL = "<script>alert(1)</script>"


def on_task(client: Any, action: str, **data: str) -> Any:
    return client.post(
        url("overview_task_action"), {"action": action, "task": add.name, **data}, follow=True
    )


def test_a_task_is_paused_with_a_reason_and_resumed() -> None:
    client = signed_in(*VIEWS, "pause_task")
    message = queued(task=add.name)
    page = read(on_task(client, "pause"))
    assert "Pause this task?" in page.text
    assert not TaskSetting.objects.exists()
    on_task(client, "pause", confirmed="yes", reason=f"closed {EVIL}")
    setting = TaskSetting.objects.get(name=add.name)
    assert setting.paused_at is not None
    assert Message.objects.get(id=message.id).state == MessageState.HELD
    overview = client.get(url("overview_changelist"))
    assert EVIL not in overview.content.decode()
    text = read(overview).text
    assert f"Task {add.name} is paused, and 1 of its calls waits for that." in text
    assert "closed" in text
    shown = client.get(url("taskrecord_change", message.id))
    assert EVIL not in shown.content.decode()
    assert "Resume this kind of task" in read(shown).text
    assert f"Resumed the task {add.name}." in read(on_task(client, "resume")).text
    assert Message.objects.get(id=message.id).state == MessageState.READY
    assert "is not paused" in read(on_task(client, "resume")).text
    told = list(LogEntry.objects.order_by("id").values_list("change_message", flat=True))
    assert told == [f"Paused the task {add.name}.", f"Resumed the task {add.name}."]


def test_it_takes_a_permission() -> None:
    message = queued(task=add.name)
    ended(task=add.name)
    client = signed_in(*VIEWS, "pause_queue", "run_task")
    for page in (url("overview_changelist"), url("taskrecord_change", message.id)):
        assert "Pause this kind of task" not in client.get(page).content.decode()
        assert "Pause the task" not in client.get(page).content.decode()
    for action in ("pause", "resume"):
        assert on_task(client, action, confirmed="yes").status_code == 403
    assert not TaskSetting.objects.exists()


def test_only_a_form_does_it() -> None:
    client = signed_in(*VIEWS, "pause_task")
    assert client.get(url("overview_task_action")).status_code == 405
    said = read(on_task(client, "dance")).text
    assert "No action selected." in said
    for name in ("", "x" * 1001, "a\0b"):
        on_task(client, "pause", confirmed="yes", task=name, reason="")
    assert not TaskSetting.objects.exists()


def test_a_paused_task_without_calls_is_told_of_too() -> None:
    control.pause_task(add.name)
    client = signed_in(*VIEWS)
    assert f"Task {add.name} is paused." in read(client.get(url("overview_changelist"))).text
