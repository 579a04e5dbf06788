"""Schedules in a real browser: made, looked at, run and paused, with and without scripts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from djtasks.models import Message, PeriodicTask
from djtasks.schedules import crontab, schedule
from tests.browser.conftest import Meet
from tests.browser.test_access import LOOKS, serious

pytestmark = pytest.mark.django_db(transaction=True)

ADD = "tests.testapp.tasks.add"


def some() -> list[PeriodicTask]:
    """One that is well, one that cannot be sent, one of the settings."""
    given: dict[str, Any] = {"task": ADD, "args": [1, 2], "planned": True}
    soon = datetime.now(UTC) + timedelta(minutes=12)
    create = PeriodicTask.objects.create
    return [
        create(
            name="Count the stock",
            schedule=crontab(30, "4,16", "mon-fri").to_json(),
            next_run_at=soon,
            total_run_count=1200,
            last_run_at=datetime.now(UTC) - timedelta(hours=5),
            **given,
        ),
        create(
            name="Ask the dairies",
            schedule=schedule(3600).to_json(),
            next_run_at=datetime.now(UTC),
            error="There is no task 'shop.tasks.ask' here.",
            **{**given, "task": "shop.tasks.ask"},
        ),
        create(
            name="Clean up",
            schedule=schedule(86400, relative=True).to_json(),
            next_run_at=soon,
            source="settings",
            **given,
        ),
    ]


def test_a_schedule_is_made_run_and_paused(meet: Meet, scripts: bool) -> None:
    page = meet(java_script_enabled=scripts).open("periodictask/")
    page.get_by_role("link", name="Add schedule").click()
    page.fill("#id_name", "at night")
    page.select_option("#id_task", ADD)
    page.get_by_role("radio", name="by a crontab").check()
    expect(page.locator("#id_every")).not_to_be_visible()
    page.fill("#id_cron", "30 4 * * mon")
    page.fill("#id_args", "[1]")
    page.locator("input[name=_save]").click()
    expect(page.locator(".errorlist").first).to_contain_text("missing 1 required positional")
    page.fill("#id_args", "[1, 2]")
    page.locator("input[name=_save]").click()
    expect(page.locator("#result_list")).to_contain_text("at 04:30, every Monday")
    page.get_by_role("link", name="at night").first.click()
    expect(page.locator(".djt-upcoming li")).to_have_count(5)
    page.get_by_role("button", name="Run now").click()
    page.get_by_role("button", name="Run now").click()
    expect(page.locator(".messagelist")).to_contain_text("Ran at night now.")
    assert Message.objects.get().task == ADD
    page.get_by_role("button", name="Disable", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("Disabled 1 schedule.")
    assert not PeriodicTask.objects.get().enabled


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_serious_is_found_on_pages_of_schedules(meet: Meet, look: str) -> None:
    rows = some()
    # The policy of the other tests forbids axe itself.
    person = meet(bypass_csp=True, **LOOKS[look])
    paths = ["periodictask/", "periodictask/add/"]
    paths += [f"periodictask/{row.pk}/change/" for row in rows]
    for path in paths:
        page = person.open(path)
        assert serious(page) == [], path
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, path
