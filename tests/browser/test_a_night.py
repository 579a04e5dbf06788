"""What somebody does who is called at night: look, find, mend, and see that it is mended."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from djtasks.models import Activity, Queue, TaskResult, Worker
from tests.browser.conftest import Meet
from tests.testapp.browser_tasks import dawdle, deliver
from tests.worker_process import WorkerProcess, eventually, wait_drained

SETTINGS = {"IMPORTS": ["tests.testapp.browser_tasks"]}

pytestmark = pytest.mark.django_db(transaction=True)


def worker(*arguments: str) -> WorkerProcess:
    """A worker that knows the tasks of these tests."""
    return WorkerProcess("-c", "2", *arguments, settings=SETTINGS)


def fail(carrier: Path, count: int = 3) -> None:
    """So many deliveries that have failed."""
    for order in range(count):
        deliver.delay(order, carrier=str(carrier))
    wait_drained()


def test_the_overview_follows_what_happens_without_being_reloaded(meet: Meet) -> None:
    page = meet().open("overview/")
    expect(page.locator("#djt-tiles")).to_contain_text("Workers")
    expect(page.locator("#djt-workers")).to_contain_text("No worker is running")
    with worker():
        dawdle.delay(30)
        expect(page.locator("#djt-workers")).to_contain_text("dawdle")
        expect(page.locator("#djt-workers")).to_contain_text("1 of 2 busy")


def test_an_open_page_tells_how_its_task_ended(meet: Meet, tmp_path: Path) -> None:
    result = deliver.delay(7, carrier=str(tmp_path / "carrier"))
    page = meet().open(f"taskrecord/{result.id}/change/")
    expect(page.locator("#djt-head")).to_contain_text("Ready")
    later = page.context.new_page()
    later.goto(page.url.replace(f"{result.id}/change/", "?q=state:FAILURE"))
    expect(later.locator("#djt-rows")).to_contain_text("No task matches")
    with worker():
        expect(page.locator("#djt-failure")).to_contain_text("no carrier for order 7")
        expect(page.locator("#djt-traceback summary")).to_contain_text("Traceback")
        expect(later.locator("[data-count]")).to_contain_text("0 of 1")


def test_a_failed_task_is_found_and_retried_and_succeeds(
    meet: Meet, scripts: bool, tmp_path: Path
) -> None:
    carrier = tmp_path / "carrier"
    with worker():
        fail(carrier)
        page = meet(java_script_enabled=scripts).open("overview/")
        page.get_by_role("link", name="Failed").first.click()
        expect(page.locator(".djt-rows tbody tr")).to_have_count(3)
        page.fill("#djt-q", "state:FAILURE kwargs.carrier:nowhere")
        page.get_by_role("button", name="Search").click()
        expect(page.locator("#djt-rows")).to_contain_text("No task matches")
        page.fill("#djt-q", "state:FAILURE args.0:1")
        page.get_by_role("button", name="Search").click()
        page.locator(".djt-rows tbody a").first.click()
        expect(page.locator("body")).to_contain_text("no carrier for order 1")
        carrier.touch()
        page.get_by_role("button", name="Retry", exact=True).click()
        if page.locator(".djt-confirm").count():
            page.locator(".djt-confirm button").click()
        wait_drained()
        page.reload()
        expect(page.locator("#djt-head")).to_contain_text("Succeeded")
    assert TaskResult.objects.get(state="SUCCESS").result == '"order 1 delivered"'


def test_all_of_a_failure_group_are_retried(meet: Meet, scripts: bool, tmp_path: Path) -> None:
    carrier = tmp_path / "carrier"
    with worker():
        fail(carrier, 12)
        page = meet(java_script_enabled=scripts).open("overview/")
        group = page.locator("#djt-failures tbody tr")
        expect(group).to_have_count(1)
        expect(group).to_contain_text("CarrierGoneError")
        carrier.touch()
        group.get_by_role("button").click()
        expect(page.locator(".djt-confirm")).to_contain_text("12")
        page.locator(".djt-confirm button").click()
        wait_drained()
        page.goto(page.url)
        expect(page.locator("#djt-failures")).to_contain_text("Nothing failed")
    assert TaskResult.objects.filter(state="SUCCESS").count() == 12


def test_a_queue_is_paused_and_resumed(meet: Meet, scripts: bool) -> None:
    with worker():
        dawdle.delay(0.0)
        wait_drained()
        eventually(lambda: Activity.objects.exists(), "the worker to tell what it did")
        page = meet(java_script_enabled=scripts).open("queue/")
        page.get_by_role("button", name="Pause the queue celery").click()
        page.locator(".djt-confirm button").click()
        expect(page.locator("body")).to_contain_text("Paused")
        assert Queue.objects.get(name="celery").paused_at is not None
        dawdle.delay(0.0)
        page.goto(page.url)
        row = page.locator("tr", has_text="celery")
        expect(row.locator("td").first).to_have_text("1")
        page.get_by_role("button", name="Resume the queue celery").click()
        if page.locator(".djt-confirm").count():
            page.locator(".djt-confirm button").click()
        wait_drained()


def test_a_worker_is_stopped(meet: Meet, scripts: bool) -> None:
    with worker() as one:
        page = meet(java_script_enabled=scripts).open("worker/")
        page.get_by_role("button", name="Stop").click()
        page.locator(".djt-confirm button").click()
        assert one.wait() == 0
        eventually(lambda: not Worker.objects.exists(), "the worker to be gone")
        page.goto(page.url)
        expect(page.locator("body")).to_contain_text("No worker is running")


def test_who_may_only_look_sees_no_button(meet: Meet, tmp_path: Path) -> None:
    with worker():
        fail(tmp_path / "carrier", 1)
        view = ["view_overview", "view_taskrecord", "view_queue", "view_worker"]
        person = meet("bob", permissions=view)
        for path in ("overview/", "taskrecord/", "queue/", "worker/"):
            page = person.open(path)
            expect(page.locator("#content-main")).to_be_visible()
            assert page.locator("#content-main form[method=post] button").count() == 0, path
        page = person.open("taskrecord/")
        page.locator(".djt-rows tbody a").first.click()
        expect(page.locator("body")).to_contain_text("no carrier for order 0")
        assert page.locator("#content-main form[method=post] button").count() == 0
