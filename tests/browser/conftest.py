"""A headless Chromium, people who sign in, and a web server beside real workers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)
from pytest_django.live_server_helper import LiveServer

from tests.worker_process import clean_tables

# Playwright keeps an event loop in this thread, in which Django would refuse to ask the database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

PASSWORD = "only-for-the-tests"
PATIENCE = 60_000
"""Milliseconds that something may take to show."""

expect.set_options(timeout=PATIENCE)

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, for one module: tests of others may want an event loop of their own."""
    path = shutil.which("chromium")
    assert path is not None, "install Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def site(live_server: LiveServer) -> Iterator[LiveServer]:
    """The web server, with empty tables."""
    clean_tables()
    yield live_server
    clean_tables()


class Person:
    """Somebody who is signed in, in a browser of their own."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.trouble: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.trouble.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        # The admin has no icon; browsers ask for one all the same.
        is_icon = message.location["url"].endswith("/favicon.ico")
        if message.type in ("error", "warning") and not is_icon:
            self.trouble.append(message.text)

    def sign_in(self, name: str) -> None:
        """Sign in as people do."""
        self.page.goto(f"{self.url}/admin/")
        self.page.fill("#id_username", name)
        self.page.fill("#id_password", PASSWORD)
        self.page.click("input[type=submit]")

    def open(self, path: str) -> Page:
        """Go to a page of the admin."""
        self.page.goto(f"{self.url}/admin/djtasks/{path}")
        return self.page


Meet = Callable[..., Person]


@pytest.fixture
def meet(chromium: Browser, site: LiveServer) -> Iterator[Meet]:
    """Make a user with these permissions, or all, and give their browser.

    What the browser complained of at the end, errors of scripts and of the content policy, fails
    the test.
    """
    contexts: list[BrowserContext] = []
    people: list[Person] = []

    def make(name: str = "ada", permissions: list[str] | None = None, **options: Any) -> Person:
        if permissions is None:
            User.objects.create_superuser(name, password=PASSWORD)
        else:
            user = User.objects.create_user(name, password=PASSWORD, is_staff=True)
            types = ContentType.objects.filter(app_label="djtasks")
            user.user_permissions.set(
                Permission.objects.filter(content_type__in=types, codename__in=permissions)
            )
        options.setdefault("viewport", {"width": 1280, "height": 900})
        context = chromium.new_context(**options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        person = Person(context.new_page(), site.url)
        people.append(person)
        person.sign_in(name)
        return person

    yield make
    for context in contexts:
        context.close()
    for person in people:
        assert person.trouble == []


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
def scripts(request: pytest.FixtureRequest) -> bool:
    """Whether the browser runs scripts."""
    return bool(request.param)
