"""The list of tasks as its template wants it: rows, filters, chips, links to other pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from djtasks.admin import query as q
from djtasks.look import json_text, states, times
from djtasks.look.text import one_line, short_name

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from djtasks.browser.offered import Offered
    from djtasks.browser.record import Record

__all__ = ["EXAMPLES", "Choice", "Group", "Row", "arguments", "attempt", "chips", "filters", "row"]

ARGUMENTS: Final = 200
"""Characters of a call's arguments that a row has."""

ERROR: Final = 160
NAME: Final = 40
"""Characters of a name in the filter."""

EXAMPLES: Final[tuple[tuple[str, StrOrPromise], ...]] = (
    ("pack", gettext_lazy("tasks whose name contains it")),
    ("01a2049e", gettext_lazy("the task with this id, or with an id that begins so")),
    ("state:FAILURE", gettext_lazy("a state; several with commas between them")),
    ("queue:mail", gettext_lazy("a queue")),
    ("task:shop.tasks.pack", gettext_lazy("a task by its full name")),
    ("schedule:report", gettext_lazy("what a schedule sent")),
    ("worker:worker@host", gettext_lazy("what a worker ran")),
    ("error:TimeoutError", gettext_lazy("the class of the exception")),
    ("since:1h until:10m", gettext_lazy("a range of time, back from now, or with dates")),
    ("retried:yes", gettext_lazy("what was tried more than once")),
    ("root:01a2049e-…", gettext_lazy("all tasks of a workflow")),
    ("kwargs.order_id:42", gettext_lazy("a keyword argument")),
    ("args.0:42", gettext_lazy("a positional argument, the first is 0")),
)
"""What can be searched for."""

RANGES: Final = (
    ("10m", gettext_lazy("Last 10 minutes")),
    ("1h", gettext_lazy("Last hour")),
    ("24h", gettext_lazy("Last 24 hours")),
    ("7d", gettext_lazy("Last 7 days")),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One task in the list. Spans of time are in seconds."""

    id: UUID
    url: str
    state: str
    task: str
    name: str
    arguments: str
    error: str
    queue: str
    priority: int
    attempt: str
    when: datetime | None
    wait: float | None
    runtime: float | None
    worker: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One value that a filter can have, as a link."""

    text: StrOrPromise
    url: str
    is_chosen: bool
    state: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A filter with its values."""

    name: str
    title: str
    choices: list[Choice]


def row(record: Record, url: Callable[[Any], str], now: datetime | None = None) -> Row:
    """A task as a row of the list."""
    runtime = record.runtime
    if record.state == "RUNNING" and record.started_at is not None:
        runtime = times.since(record.started_at, now)
    return Row(
        id=record.id,
        url=url(record.id),
        state=record.state,
        task=record.task,
        name=short_name(record.task),
        arguments=arguments(record),
        error=failure(record),
        queue=record.queue,
        priority=record.priority,
        attempt=attempt(record),
        when=record.date_done or record.enqueued_at,
        wait=waited(record),
        runtime=runtime,
        worker=record.worker or "",
    )


def waited(record: Record) -> float | None:
    """Seconds from when a task could have run until it last did; None if it has not.

    None too for what waited for other tasks: when they let it go is not known.
    """
    if record.started_at is None or record.enqueued_at is None:
        return None
    if record.after is not None and record.eta is None:
        return None
    due = max(record.enqueued_at, record.eta) if record.eta else record.enqueued_at
    return max((record.started_at - due).total_seconds(), 0.0)


def attempt(record: Record) -> str:
    """Which attempt of how many it is or was; how many is known of tasks that are known here."""
    number = record.retries + 1
    most = record.max_retries
    return str(number) if most is None else f"{number}/{most + 1}"


def failure(record: Record) -> str:
    """The exception and what it said, on one line."""
    parts = [part for part in (record.exception, record.error) if part]
    return one_line(": ".join(parts), ERROR)


def arguments(record: Record, length: int = ARGUMENTS) -> str:
    """The arguments on one line: as the caller wants them shown, or else as they are stored."""
    if record.is_hidden:
        shown = [text for text in (record.argsrepr, record.kwargsrepr) if text]
        return one_line(" ".join(shown), length)
    if record.payload is None:
        return _("(large)") if record.payload_id is not None else ""
    call = json_text.loaded(record.payload)
    if isinstance(call, list) and len(call) == 2:
        return one_line(json_text.call_line(*call), length)
    # It was cut, or somebody wrote the row by hand.
    return one_line(record.payload.removeprefix("[["), length)


def chips(query: str) -> Iterator[dict[str, str]]:
    """The words of the search, each with a link to the search without it."""
    for index, word in enumerate(q.words(query)):
        yield {"text": word, "url": q.link(q.without(query, index))}


def filters(query: str, offered: Offered) -> list[Group]:
    """The filters beside the list."""
    groups = [
        _group(
            query,
            "state",
            _("State"),
            [(state, states.look(state).word) for state in states.ORDER],
        ),
        _group(query, "since", pgettext("filter", "Time"), RANGES),
        _group(query, "task", _("Task"), _dotted(offered.tasks)),
        _group(query, "queue", _("Queue"), _named(offered.queues)),
        _group(query, "exception", _("Exception"), _dotted(offered.exceptions)),
        _group(query, "worker", _("Worker"), _named(offered.workers)),
        _group(query, "schedule", _("Schedule"), ()),
        _group(query, "root", _("Workflow"), ()),
        _group(query, "retried", _("Attempts"), [("yes", _("Tried more than once"))]),
    ]
    # One that offers nothing is not worth a heading; what was typed can always be taken back.
    return [group for group in groups if len(group.choices) > 1]


def _named(names: list[str]) -> list[tuple[str, str]]:
    return [(name, one_line(name, NAME)) for name in names]


def _dotted(names: list[str]) -> list[tuple[str, str]]:
    return [(name, one_line(short_name(name), NAME)) for name in names]


def _group(query: str, name: str, title: str, values: Iterable[tuple[str, StrOrPromise]]) -> Group:
    chosen = q.value_of(query, name)
    choices = [Choice(_("Any"), q.link(q.with_qualifier(query, name, None)), chosen is None)]
    for value, text in values:
        choices.append(
            Choice(
                text,
                q.link(q.with_qualifier(query, name, value)),
                chosen is not None and _is_same(value, chosen),
                value if name == "state" else "",
                "" if value == text or name in ("state", "since", "retried") else value,
            )
        )
    if chosen and not any(choice.is_chosen for choice in choices):
        # It was typed, or came with a link from another page.
        text = one_line(chosen, NAME)
        choices.append(Choice(text, q.link(query), is_chosen=True, title=chosen))
    return Group(name, title, choices)


def _is_same(value: str, chosen: str) -> bool:
    return value.lower() == chosen.removeprefix("=").lower()
