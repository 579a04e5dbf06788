"""The pictures of the documentation, made from the demo: ``make screenshots``."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page

from testproject.embedded import Server
from tests.worker_process import ROOT, eventually

IMAGES = ROOT / "docs" / "images"

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 860}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 860}},
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2},
}

WORKFLOW = """
from djtasks import chain, chord
from testproject.cheeseshop.models import Day
from testproject.cheeseshop.tasks import archive_invoices, draw_chart, draw_label, render_invoice
day = Day.objects.latest("pk")
orders = list(day.orders.filter(packed_at__isnull=False)[:40])
papers = [chain(render_invoice.si(o), draw_label.si(o)) for o in orders[:3]]
papers += [draw_label.si(o) for o in orders[3:]]
print(chain(draw_chart.si(day), chord(papers, archive_invoices.si(day))).delay().id)
"""

PAUSES = """
from djtasks import control
from testproject.cheeseshop.models import Day
from testproject.cheeseshop.tasks import book_courier
control.pause("courier", reason="no vans until the roads are clear")
for order in Day.objects.latest("pk").orders.all()[:23]:
    book_courier.delay(order)
"""

# The demo does the work of a day in seconds: its counts are repeated for the hour before it.
HOUR = """
INSERT INTO djtasks_activity (span, at, queue, task, succeeded, failed, retried, longest, runtimes)
SELECT 60, a.at - n * interval '1 minute', a.queue, a.task,
       ceil(a.succeeded * (0.3 + 0.2 * sin(n / 7.0) + n * 7919 % 13 / 50.0)),
       CASE WHEN n % 9 < 2 THEN a.failed ELSE 0 END, a.retried, a.longest, a.runtimes
FROM (SELECT DISTINCT ON (queue, task) * FROM djtasks_activity
      WHERE span = 60 ORDER BY queue, task, succeeded DESC) AS a, generate_series(1, 59) AS n
ON CONFLICT DO NOTHING;
INSERT INTO djtasks_depth (span, at, queue, ready, latency)
SELECT 60, d.at - n * interval '1 minute', d.queue,
       ceil(d.ready * (0.5 + 0.4 * sin(n / 5.0) + n * 7919 % 13 / 60.0)), d.latency
FROM (SELECT DISTINCT ON (queue) * FROM djtasks_depth
      WHERE span = 60 ORDER BY queue, ready DESC) AS d, generate_series(1, 59) AS n
ON CONFLICT DO NOTHING;
"""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """That of a demo with a server of its own."""
    with Server(fsync=False) as server:
        yield {
            **os.environ,
            "DATABASE_URL": server.url,
            "DEMO_DIR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "testproject.settings",
            "PYTHONUNBUFFERED": "1",
        }


@pytest.fixture
def admin(environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """The address of the demo's admin, once the sample work is done."""
    log = tmp_path / "demo.log"
    with log.open("wb") as out:
        demo = subprocess.Popen(
            [sys.executable, "manage.py", "demo", "--port", "0"],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually(lambda: "until Ctrl-C" in log.read_text(), "the sample work", within=120)
        found = re.search(r"http://\S+/admin/", log.read_text())
        assert found is not None
        yield found[0]
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait()


def shell(code: str, environment: dict[str, str]) -> str:
    """What the demo's shell prints that runs this."""
    command = [sys.executable, "manage.py", "shell", "-v", "0", "-c", code]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout


def sign_in(page: Page, admin: str) -> None:
    page.goto(admin)
    page.fill("#id_username", "admin")
    page.fill("#id_password", "admin")
    page.click("input[type=submit]")


def shoot(page: Page, name: str, *, full: bool = False) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=IMAGES / f"{name}.png", full_page=full)


@pytest.mark.timeout(280)
def test_make_the_pictures(chromium: Browser, environment: dict[str, str], admin: str) -> None:
    step = shell(WORKFLOW, environment).split()[-1]
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        connection.execute(HOUR)
    for look, options in LOOKS.items():
        context = chromium.new_context(**options)
        page = context.new_page()
        sign_in(page, admin)
        page.goto(f"{admin}djtasks/overview/")
        shoot(page, f"overview-{look}")
        if look == "phone":
            page.goto(f"{admin}djtasks/taskrecord/")
            shoot(page, "tasks-phone")
        if look == "light":
            page.goto(f"{admin}djtasks/taskrecord/?q=state:FAILURE")
            shoot(page, "tasks")
            page.locator(".djt-rows tbody a").first.click()
            shoot(page, "task")
            page.goto(f"{admin}djtasks/taskrecord/{step}/change/")
            shoot(page, "workflow")
            page.goto(f"{admin}djtasks/periodictask/")
            shoot(page, "schedules")
            shell(PAUSES, environment)
            page.goto(f"{admin}djtasks/queue/")
            shoot(page, "queues")
        context.close()
