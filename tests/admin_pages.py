"""What tests of the admin's pages share: people, rows, and reading HTML."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.models import Permission, User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from djtasks.models import Message, TaskResult, Worker

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


def signed_in(*permissions: str, name: str = "bob") -> Client:
    """The browser of somebody of the staff with these permissions of the app."""
    user = User.objects.create_user(name, is_staff=True)
    found = Permission.objects.filter(content_type__app_label="djtasks", codename__in=permissions)
    assert found.count() == len(permissions), permissions
    user.user_permissions.set(found)
    return _client(user)


def ruler() -> Client:
    """The browser of somebody who may do anything."""
    return _client(User.objects.create_superuser("ada"))


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


VIEW = ("view_overview", "view_taskrecord", "view_queue", "view_worker")
"""Permissions to look at everything."""


def url(name: str, *args: Any) -> str:
    """The address of a page."""
    return reverse(f"admin:djtasks_{name}", args=args)


@dataclass
class Element:
    """A tag with its attributes, and the text in it."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""

    def __getitem__(self, name: str) -> str:
        return self.attributes.get(name) or ""


@dataclass
class Page(HTMLParser):
    """A page that was read."""

    html: str
    elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[Element] = []
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str, **attributes: str) -> Iterator[Element]:
        """The elements of a tag with these attributes; ``class_`` is one of its classes."""
        wanted = attributes.pop("class_", None)
        for element in self.elements:
            is_wanted = wanted is None or wanted in element["class"].split()
            if (
                element.tag == tag
                and is_wanted
                and all(element.attributes.get(name) == value for name, value in attributes.items())
            ):
                yield element

    @property
    def text(self) -> str:
        """What it says."""
        return " ".join(element.text for element in self.all("body"))

    def buttons(self) -> set[str]:
        """The values of the buttons and choices that do something to tasks, queues or workers."""
        pressed = {button["value"] for button in self.all("button", name="action")}
        return pressed | {option["value"] for option in self.all("option") if option["value"]}

    def forbidden(self) -> list[str]:
        """What a policy of ``default-src 'self'`` does not let through."""
        found = []
        for element in self.elements:
            if element.tag == "style" or (element.tag == "script" and not element["src"]):
                found.append(element.tag)
            for name, value in element.attributes.items():
                if name == "style" or name.startswith("on"):
                    found.append(f"{element.tag} {name}")
                if name in ("src", "href") and (value or "").startswith(("data:", "javascript:")):
                    found.append(f"{element.tag} {name}={value}")
        return found


def read(response: Any) -> Page:
    """The page of an answer that is one."""
    assert isinstance(response, HttpResponse)
    assert response.status_code == 200, (response.status_code, response.headers)
    return Page(response.content.decode())


def queued(task: str = "tests.testapp.tasks.add", **values: Any) -> Message:
    """A task that waits in its queue."""
    call = json.dumps([values.pop("args", []), values.pop("kwargs", {})])
    return Message.objects.create(task=task, **{"queue": "celery", "payload": call, **values})


def ended(
    task: str = "tests.testapp.tasks.add", state: str = "SUCCESS", **values: Any
) -> TaskResult:
    """A task that has ended just now."""
    now = datetime.now(UTC)
    call = json.dumps([values.pop("args", []), values.pop("kwargs", {})])
    given = {
        "id": uuid4(),
        "queue": "celery",
        "payload": call,
        "enqueued_at": now - timedelta(seconds=3),
        "started_at": now - timedelta(seconds=2),
        "date_done": now,
        "runtime": 2.0,
        "worker": "worker@here",
        **values,
    }
    return TaskResult.objects.create(task=task, state=state, **given)


def failed(message: str = "it broke", exception: str = "ValueError", **values: Any) -> TaskResult:
    """A task that has failed just now."""
    result = json.dumps({"exc_type": exception, "exc_module": "builtins", "exc_message": [message]})
    trace = (
        "Traceback (most recent call last):\n"
        '  File "/srv/shop/tasks.py", line 7, in pack\n'
        "    order.take()\n"
        f"{exception}: {message}\n"
    )
    given = {"result": result, "traceback": trace, "exception": exception, **values}
    return ended(state="FAILURE", **given)


def a_worker(**values: Any) -> Worker:
    """A worker that is alive for an hour without a heartbeat."""
    given = {
        "hostname": "worker@here",
        "pid": 4711,
        "pool": "prefork",
        "concurrency": 4,
        "version": "1",
        "lease": 3600.0,
        **values,
    }
    return Worker.objects.create(**given)


def rows(page: Page) -> list[UUID]:
    """The ids of the tasks in a list that has boxes to select them."""
    return [UUID(box["value"]) for box in page.all("input", name="_selected_action")]
