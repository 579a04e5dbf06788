"""The page of schedules: what it shows, its form, and what may be done to whom."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from djtasks.admin.query import qualifier
from djtasks.admin.schedule_form import UNITS
from djtasks.beat.send import Sender
from djtasks.browser.attention import attention
from djtasks.models import Message, PeriodicTask, Source
from djtasks.schedules import clocked, crontab, schedule, solar
from djtasks.testing import run_tasks
from tests.admin_pages import a_worker, ended, read, ruler, signed_in, url
from tests.test_beat_send import ADD, row, send_all

pytestmark = pytest.mark.usefixtures("empty")

EVIL = "<script>alert(1)</script>\"'&\u202e"
LIST = "periodictask_changelist"
LOOK = ("view_periodictask",)


def fields(**values: Any) -> dict[str, Any]:
    """What somebody fills in: every five minutes, unless told otherwise."""
    given = {
        "name": "count",
        "task": ADD,
        "enabled": "on",
        "kind": "schedule",
        "every": "5",
        "unit": "60",
        "args": "[1, 2]",
        "kwargs": "{}",
        **values,
    }
    return {name: value for name, value in given.items() if value is not None}


def add(client: Client, **values: Any) -> Any:
    """Send the form of a new schedule."""
    return client.post(url("periodictask_add"), fields(**values))


def errors(response: Any) -> str:
    """What the form complains of."""
    page = read(response)
    return " ".join(found.text for found in page.all("ul", class_="errorlist"))


def act(client: Client, action: str, *rows: PeriodicTask, **more: Any) -> Any:
    """Press a button."""
    data = {"action": action, "schedule": [found.pk for found in rows], **more}
    return client.post(url("periodictask_action"), data, follow=True)


# --- the list ----------------------------------------------------------------------------------


def test_the_list_says_what_runs_when_and_how_often() -> None:
    row("at night", schedule=crontab(30, 4, "mon").to_json(), total_run_count=17)
    text = read(ruler().get(url(LIST))).text
    for said in ("at night", "add", "at 04:30, every Monday", "never", "17", "admin"):
        assert said in text


def test_the_last_run_leads_to_its_task_and_to_all_of_them() -> None:
    done = ended(task=ADD)
    row(last_run_at=timezone.now(), last_task_id=done.pk)
    links = {link["href"] for link in read(ruler().get(url(LIST))).all("a")}
    assert url("taskrecord_change", done.pk) in links
    assert url("taskrecord_changelist") + "?q=schedule%3Acount" in links
    links = {link["href"] for link in read(signed_in(*LOOK).get(url(LIST))).all("a")}
    assert not [link for link in links if "taskrecord" in link]


def test_all_runs_of_a_schedule_are_found_by_its_name() -> None:
    name = 'mine "é" \\ 1'
    row(name)
    row("other")
    send_all()
    client = ruler()
    mine = str(PeriodicTask.objects.get(name=name).last_task_id)
    query = qualifier("schedule", name)
    for _state in ("queued", "ended"):
        page = read(client.get(url("taskrecord_changelist"), {"q": query}))
        assert [box["value"] for box in page.all("input", name="_selected_action")] == [mine]
        run_tasks()


def test_the_list_is_filtered_and_searched() -> None:
    row("first", description="of the shop")
    row("second", enabled=False)
    row("third", error="broken")
    client = ruler()
    for query, names in (
        ("?q=shop", {"first"}),
        ("?enabled__exact=0", {"second"}),
        ("?standing=error", {"third"}),
        ("?source__exact=settings", set()),
    ):
        text = read(client.get(url(LIST) + query)).text
        assert {name for name in ("first", "second", "third") if name in text} == names, query


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"enabled": False}, "disabled"),
        ({"next_run_at": None}, "never again"),
        ({"source": "removed"}, "no longer in the settings"),
        ({"next_run_at": datetime(2020, 1, 1, tzinfo=UTC)}, "late"),
        ({"schedule": {"type": "?"}}, "unreadable"),
        ({"error": "no such task"}, "Cannot be sent"),
        ({"one_off": True}, "every hour, only once"),
    ],
)
def test_the_list_says_how_a_schedule_stands(values: dict[str, Any], said: str) -> None:
    row(**values)
    assert said in read(ruler().get(url(LIST))).text


def test_the_list_says_when_a_schedule_that_is_not_planned_yet_runs() -> None:
    row(planned=False, since=timezone.now() - timedelta(minutes=1))
    assert re.search(r"in 5[89] min", read(ruler().get(url(LIST))).text)


def test_names_that_look_like_markup_are_text() -> None:
    found = row(EVIL, task=EVIL, description=EVIL, args=[EVIL], error=EVIL, source="settings")
    client = ruler()
    for path in (url(LIST), url("periodictask_change", found.pk)):
        response = client.get(path)
        assert "<script>alert" not in response.content.decode()
        assert read(response).forbidden() == []


def test_the_number_of_queries_does_not_grow_with_the_list(
    django_assert_max_num_queries: Any,
) -> None:
    for number in range(30):
        row(f"row {number}")
    client = ruler()
    with django_assert_max_num_queries(14):
        client.get(url(LIST))


def test_the_tabs_lead_everywhere_from_all_of_its_pages() -> None:
    found = row()
    client = ruler()
    for path in (
        url(LIST),
        url("periodictask_add"),
        url("periodictask_change", found.pk),
        url("periodictask_history", found.pk),
    ):
        page = read(client.get(path))
        links = {link["href"] for link in page.all("a")}
        assert {url("overview_changelist"), url(LIST)} <= links, path
        assert page.forbidden() == [], path


# --- the form ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({}, schedule(300)),
        ({"every": "1.5", "unit": "3600", "relative": "on"}, schedule(5400, relative=True)),
        ({"kind": "crontab", "cron": "30 4 * * mon"}, crontab(30, 4, "mon")),
        (
            {"kind": "crontab", "cron": "0 9 * * *", "zone": "Europe/Berlin"},
            crontab(0, 9, timezone="Europe/Berlin"),
        ),
        (
            {"kind": "clocked", "moment": "2099-01-02T03:04:05"},
            clocked(datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ),
        (
            {"kind": "solar", "event": "sunset", "latitude": "52.5", "longitude": "-13"},
            solar("sunset", 52.5, -13),
        ),
    ],
)
def test_a_schedule_of_every_kind_is_made_and_shown_again(
    values: dict[str, Any], rule: Any
) -> None:
    client = ruler()
    assert add(client, **values).status_code == 302
    found = PeriodicTask.objects.get()
    assert found.schedule == rule.to_json()
    assert (found.args, found.kwargs, found.source) == ([1, 2], {}, Source.ADMIN)
    page = read(client.get(url("periodictask_change", found.pk)))
    sent = {
        element["name"]: element["value"]
        for element in page.all("input")
        if element["type"] not in ("checkbox", "radio", "submit", "hidden")
    }
    sent |= {
        element["name"]: element["value"]
        for element in page.all("input")
        if element["type"] in ("radio", "checkbox") and "checked" in element.attributes
    }
    chosen = [option["value"] for option in page.all("option") if "selected" in option.attributes]
    again = client.post(
        url("periodictask_change", found.pk),
        fields(
            **{
                **values,
                "name": sent["name"],
                "every": sent["every"],
                "unit": next(value for value in chosen if value in UNITS),
            }
        ),
    )
    assert again.status_code == 302
    assert sent["kind"] == rule.kind
    assert PeriodicTask.objects.get().since == found.since, "nothing was changed"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": ""}, "This field is required"),
        ({"task": "nowhere"}, "Select a valid choice"),
        ({"args": "[1"}, "Enter a valid JSON"),
        ({"args": "{}", "kwargs": "{}"}, "This has to be a list"),
        ({"kwargs": "[]"}, "This has to be an object"),
        ({"args": "[1]"}, "missing 1 required positional argument"),
        ({"args": "[1, 2, 3]"}, "takes 2 positional arguments but 3 were given"),
        ({"kwargs": '{"c": 1}'}, "unexpected keyword argument"),
        ({"every": ""}, "This is needed here"),
        ({"every": "-1"}, "longer than 0"),
        ({"every": "x"}, "Enter a number"),
        ({"kind": "crontab", "cron": "often"}, "five fields"),
        ({"kind": "crontab", "cron": "61 * * * *"}, "61 is not within 0 and 59"),
        ({"kind": "crontab", "cron": "0 0 31 2 *"}, "no such day"),
        ({"kind": "crontab"}, "This is needed here"),
        ({"kind": "clocked", "moment": "2020-01-02T03:04"}, "has passed"),
        ({"kind": "solar", "latitude": "95", "longitude": "0"}, "from -90 to 90"),
        ({"kind": "solar", "latitude": "5"}, "This is needed here"),
        ({"kind": "often"}, "Select a valid choice"),
        ({"queue": "q" * 3000}, "bytes"),
        ({"expires": "-1"}, "greater than or equal"),
        (
            {
                "start_time": "2030-01-02T00:00",
                "end_time": "2030-01-01T00:00",
            },
            "before the start",
        ),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(values: dict[str, Any], said: str) -> None:
    assert said in errors(add(ruler(), **values))
    assert not PeriodicTask.objects.exists()


def test_a_name_is_given_once() -> None:
    row("count")
    assert "already exists" in errors(add(ruler()))


def test_the_tasks_to_choose_from_are_those_that_are_registered() -> None:
    page = read(ruler().get(url("periodictask_add")))
    offered = {option["value"] for option in page.all("option")}
    assert ADD in offered
    assert [area.text.strip() for area in page.all("textarea")] == ["", "[]", "{}"]
    assert not [name for name in offered if name.startswith("djtasks.")]


def test_the_page_shows_the_next_five_runs_in_the_user_s_zone() -> None:
    found = row(
        schedule=crontab(0, 12, timezone="UTC").to_json(),
        next_run_at=datetime(2099, 7, 1, 12, tzinfo=UTC),
    )
    with timezone.override("Asia/Tokyo"):
        text = read(ruler().get(url("periodictask_change", found.pk))).text
    assert len(re.findall(r"21:00:00 JST", text)) == 5
    assert "Wed 07/01/2099" in text


def test_a_change_of_the_arguments_alone_leaves_the_next_run_alone() -> None:
    client = ruler()
    add(client)
    send_all()  # plans it
    before = PeriodicTask.objects.get()
    client.post(url("periodictask_change", before.pk), fields(args="[3, 4]"))
    after = PeriodicTask.objects.get()
    assert after.args == [3, 4]
    assert (after.next_run_at, after.since) == (before.next_run_at, before.since)


def test_saving_a_form_does_not_undo_a_run_meanwhile() -> None:
    client = ruler()
    found = row("count", schedule=schedule(300).to_json())
    read(client.get(url("periodictask_change", found.pk)))
    send_all()
    client.post(url("periodictask_change", found.pk), fields(description="new"))
    assert send_all() == 0
    assert Message.objects.count() == 1
    assert PeriodicTask.objects.get().total_run_count == 1


def test_a_broken_row_is_shown_with_its_error_and_can_be_mended() -> None:
    found = row("count", task="gone", schedule={"type": "x"})
    Sender("default").send_one()
    client = ruler()
    text = read(client.get(url("periodictask_change", found.pk))).text
    assert "must be a JSON object whose 'type'" in text
    assert client.post(url("periodictask_change", found.pk), fields()).status_code == 302
    assert PeriodicTask.objects.get().error == ""


def test_adding_changing_and_deleting_are_in_the_log() -> None:
    client = ruler()
    add(client)
    found = PeriodicTask.objects.get()
    client.post(url("periodictask_change", found.pk), fields(every="7"))
    client.post(url("periodictask_delete", found.pk), {"post": "yes"})
    assert [entry.action_flag for entry in LogEntry.objects.order_by("id")] == [1, 2, 3]


# --- what may be done --------------------------------------------------------------------------


def test_run_now_asks_then_sends_and_is_in_the_log() -> None:
    found = row(next_run_at=timezone.now() + timedelta(hours=1))
    client = signed_in(*LOOK, "run_periodictask")
    asked = act(client, "run", found)
    assert "Run this schedule now?" in read(asked).text
    assert not Message.objects.exists()
    done = act(client, "run", found, confirmed="yes")
    assert "Ran count now." in read(done).text
    assert Message.objects.get().task == ADD
    (entry,) = LogEntry.objects.all()
    assert str(Message.objects.get().id) in entry.change_message
    assert entry.object_id == str(found.pk)


def test_run_now_says_what_is_wrong_and_runs_the_others() -> None:
    bad, good = row("bad", args=[1]), row("good")
    text = read(act(ruler(), "run", bad, good, confirmed="yes")).text
    assert "cannot be called like that" in text
    assert "Ran good now." in text
    assert Message.objects.count() == 1


def test_schedules_are_disabled_and_enabled_again_with_an_entry_for_each() -> None:
    rows = [row("a"), row("b"), row("c", enabled=False)]
    client = signed_in(*LOOK, "pause_periodictask")
    assert "Disabled 2 schedules." in read(act(client, "disable", *rows)).text
    assert not PeriodicTask.objects.filter(enabled=True).exists()
    assert LogEntry.objects.count() == 2
    assert "Enabled 3 schedules." in read(act(client, "enable", *rows)).text
    assert not PeriodicTask.objects.filter(enabled=False).exists()
    assert "Enabled 0 schedules." in read(act(client, "enable", *rows)).text


def test_the_list_offers_the_same_for_those_selected() -> None:
    found = row()
    client = ruler()
    chosen = {"_selected_action": [found.pk], "index": 0}
    client.post(url(LIST), {**chosen, "action": "disable_selected"})
    assert not PeriodicTask.objects.get().enabled
    asked = client.post(url(LIST), {**chosen, "action": "run_selected"})
    assert "Run this schedule now?" in read(asked).text
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("action", "permission"),
    [
        ("run", "run_periodictask"),
        ("enable", "pause_periodictask"),
        ("disable", "pause_periodictask"),
    ],
)
def test_each_needs_its_own_permission(action: str, permission: str) -> None:
    found = row(enabled=action != "enable")
    others = {"run_periodictask", "pause_periodictask", "change_periodictask"} - {permission}
    client = signed_in(*LOOK, *others)
    response = act(client, action, found, confirmed="yes")
    assert response.status_code == 403
    assert PeriodicTask.objects.get().enabled == found.enabled
    assert not Message.objects.exists()


def test_nothing_is_done_by_a_link() -> None:
    assert ruler().get(url("periodictask_action")).status_code == 405


def test_an_action_that_is_none_does_nothing() -> None:
    client = ruler()
    assert "No action selected" in read(act(client, "eat", row())).text
    assert client.post(url("periodictask_action"), {"schedule": "x"}).status_code == 400


def test_who_may_only_look_can_change_nothing() -> None:
    found = row()
    client = signed_in(*LOOK)
    page = read(client.get(url("periodictask_change", found.pk)))
    assert page.buttons() == set()
    assert "every hour" in page.text
    assert client.post(url("periodictask_change", found.pk), fields()).status_code == 403
    assert client.get(url("periodictask_add")).status_code == 403
    assert client.post(url("periodictask_delete", found.pk), {"post": "yes"}).status_code == 403


def test_a_schedule_of_the_settings_is_shown_and_paused_but_not_edited() -> None:
    found = row(source="settings", headers={"a": 1})
    client = ruler()
    page = read(client.get(url("periodictask_change", found.pk)))
    assert "every hour" in page.text
    assert page.buttons() == {"run", "disable"}
    assert not list(page.all("input", type="submit", name="_save"))
    assert client.post(url("periodictask_change", found.pk), fields()).status_code == 403
    assert client.post(url("periodictask_delete", found.pk), {"post": "yes"}).status_code == 403
    client.post(
        url(LIST),
        {"_selected_action": [found.pk], "index": 0, "action": "delete_selected", "post": "yes"},
    )
    assert PeriodicTask.objects.filter(pk=found.pk).exists()
    act(client, "disable", found)
    assert not PeriodicTask.objects.get().enabled


def test_one_that_is_no_longer_in_the_settings_can_be_deleted() -> None:
    found = row(source="removed")
    ruler().post(url("periodictask_delete", found.pk), {"post": "yes"})
    assert not PeriodicTask.objects.exists()


# --- the overview ------------------------------------------------------------------------------


def notes() -> list[str]:
    from djtasks.browser.fleet import workers

    return [str(note.text) for note in attention([], workers())]


def test_the_overview_tells_of_schedules_that_cannot_be_sent_or_are_late() -> None:
    a_worker()
    row("good", next_run_at=timezone.now() + timedelta(hours=1))
    row("off", error="x", enabled=False)
    assert notes() == []
    row("bad", error="no such task")
    row("slow", next_run_at=timezone.now() - timedelta(seconds=200))
    assert notes() == [
        "The schedule slow is late, for 3 min: no worker sends it.",
        "The schedule bad cannot be sent: no such task",
    ]
    page = read(ruler().get(url("overview_changelist")))
    links = [link["href"] for link in page.all("a") if "schedule bad" in link.text]
    assert links == [url(LIST) + "?standing=error"]
