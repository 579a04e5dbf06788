"""One task as its template wants it: what happened, texts, facts, relatives, buttons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from djtasks import models
from djtasks.admin import query as q
from djtasks.admin.actions import ACTIONS, Action
from djtasks.admin.graph import workflow
from djtasks.admin.pausing import pause_url
from djtasks.admin.tasklist import arguments, attempt, waited
from djtasks.browser.filter import Filter, findable
from djtasks.browser.paused import paused_tasks
from djtasks.lanes import LIMIT, ORDER, RATE
from djtasks.look import charts, json_text, states, times, tracebacks
from djtasks.look.text import NAME, one_line, short_name
from djtasks.queue.uniqueness import UniqueMode
from djtasks.routing import LONGEST_QUEUE_NAME

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

    from djtasks.admin.base import BrowserAdmin
    from djtasks.browser.record import Record
    from djtasks.browser.task import Event, TaskView
    from djtasks.models import TaskRecord
    from djtasks.queue.uniqueness import Unique

    Page = BrowserAdmin[TaskRecord]

__all__ = ["initial_copy", "task_context"]

EDITABLE: Final = 50_000
"""Characters of arguments that a form shows for editing."""

SHOWN: Final = 10_000
"""Characters of arguments as their caller wants them shown."""

RELATIVES: Final = 10

UNIQUE_KEY: Final = 300
"""Characters of a unique key."""


@dataclass(frozen=True, slots=True)
class Block:
    """A long text with a title. ``key`` tells the blocks of a page apart."""

    key: str
    title: str
    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and a value; ``url`` is a page about it, or empty."""

    name: str
    value: object
    url: str = ""


def task_context(page: Page, request: HttpRequest, view: TaskView) -> dict[str, Any]:
    """What the template of one task gets."""
    record = view.record
    context: dict[str, Any] = {
        "title": short_name(record.task),
        "parent_url": page.url("taskrecord_changelist"),
        "is_live": True,
        "record": record,
        "state_word": states.look(record.state).word,
        "buttons": list(_buttons(page, request, record)),
        "copy_url": page.url("taskrecord_copy", record.id) if page.may(request, "run_task") else "",
        "action_url": page.url("taskrecord_action"),
        "paused": next((each for each in paused_tasks() if each.name == record.task), None),
        "pause_url": pause_url(page, request, record.task),
        "failure": _failure(view),
        "traceback": tracebacks.parse(view.traceback) if view.traceback else None,
        "events": [{"event": event, "text": _event_text(event)} for event in view.events],
        "blocks": list(_blocks(view)),
        "facts": list(_facts(page, view)),
        "relatives": list(_relatives(page, view)),
        "history": _history(view),
        "history_url": page.url("taskrecord_history", record.id),
    }
    if view.is_in_workflow:
        context |= workflow(page, record)
    return context


def initial_copy(view: TaskView) -> dict[str, Any] | None:
    """The arguments for the form of a copy; None if they are private or too large to be shown."""
    record = view.record
    if record.is_hidden or record.payload is None or len(record.payload) > EDITABLE:
        return None
    call = json_text.loaded(record.payload)
    if not isinstance(call, list) or len(call) != 2:
        return None
    try:
        args, kwargs = (json_text.editable(part) for part in call)
    except RecursionError:
        return None
    # Somebody wrote the row by hand if its name is longer; left empty, the task's own is taken.
    queue = record.queue if len(record.queue) <= LONGEST_QUEUE_NAME else ""
    return {"args": args, "kwargs": kwargs, "queue": queue, "priority": record.priority}


def _buttons(page: Page, request: HttpRequest, record: Record) -> Iterator[Action]:
    """What the user may do to a task in this state."""
    for action in ACTIONS.values():
        if record.state in action.states and page.may(request, action.permission):
            yield action


def _failure(view: TaskView) -> dict[str, str] | None:
    """The exception and what it said, as far as that fits above a traceback."""
    if not view.exception:
        return None
    return {
        "name": one_line(view.exception, 200),
        "message": one_line(view.error or "", 2_000),
    }


def _event_text(event: Event) -> str:
    """An event of the timeline in words."""
    number = {"n": event.number}
    match event.kind:
        case "enqueued":
            return _("Enqueued")
        case "due":
            return _("Due") if event.is_yet_to_come else _("Was due")
        case "started":
            return _("Attempt %(n)s started") % number if event.number else _("Started")
        case "lost":
            return _("Attempt %(n)s was lost with its worker") % number
        case "retried":
            return _("Put back to be tried again")
        case "attempt" if event.state == "LOST":
            return _("Attempt %(n)s was lost with its worker") % number
        case "attempt" if event.state == "RETRY":
            return _("Attempt %(n)s failed and was to be tried again") % number
        case "attempt":
            word = str(states.look(event.state).word)
            return _("Attempt %(n)s: %(state)s") % {**number, "state": word.lower()}
    return str(states.look(event.state).word)


def _blocks(view: TaskView) -> Iterator[Block]:
    """The long texts of the page."""
    yield _arguments(view)
    if view.result is not None and view.record.state == "SUCCESS":
        yield Block("result", _("Result"), json_text.readable(view.result))
    if view.meta is not None:
        yield Block("meta", _("Progress"), _as_text(view.meta))
    if view.headers:
        yield Block("headers", _("Headers"), _as_text(view.headers))
    if view.options:
        yield Block("options", _("Options of the call"), _as_text(view.options))


def _arguments(view: TaskView) -> Block:
    record = view.record
    if record.is_hidden or record.payload is None:
        note = _("as the caller wants them shown") if record.is_hidden else ""
        return Block("arguments", _("Arguments"), arguments(record, SHOWN), note)
    call = json_text.loaded(record.payload)
    if isinstance(call, list) and len(call) == 2 and isinstance(call[1], dict):
        args, kwargs = call
        if isinstance(args, list):
            text = json_text.pretty_call(args, kwargs)
            return Block("arguments", _("Arguments"), text or _("none"))
    return Block("arguments", _("Arguments"), record.payload)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json_text.pretty(value)


def _facts(page: Page, view: TaskView) -> Iterator[Fact]:
    """The details beside the texts."""
    record = view.record
    if record.custom_id:
        yield Fact(_("Id"), one_line(record.custom_id, NAME))
    yield Fact(_("Queue"), one_line(record.queue, NAME), _search(page, "queue", record.queue))
    yield Fact(_("Priority"), record.priority)
    if record.gate is not None:
        query = Filter(states=("BLOCKED",), lane=record.gate).to_query()
        yield Fact(_("Blocked by"), _gate(record.gate), _list(page, query))
    if record.lane is not None:
        # Where it has ended, others of its lane may be queued.
        yield Fact(_("Lane"), one_line(record.lane, NAME), _search(page, "lane", record.lane))
    yield Fact(_("Attempt"), attempt(record))
    if view.unique is not None:
        key = "(…)" if record.is_hidden else one_line(view.unique.key, UNIQUE_KEY)
        yield Fact(_("Unique key"), key)
        yield Fact(_("Unique"), _how_unique(view.unique))
    if record.deliveries:
        yield Fact(_("Lost with a worker"), record.deliveries)
    if record.worker:
        yield Fact(
            _("Worker"), one_line(record.worker, NAME), _search(page, "worker", record.worker)
        )
    if (wait := waited(record)) is not None:
        yield Fact(_("Waited"), times.duration(wait))
    if record.runtime is not None:
        yield Fact(_("Run time"), times.duration(record.runtime))
    for name, moment in (
        (_("Enqueued"), record.enqueued_at),
        (_("Not before"), record.eta),
        (_("Expires"), record.expires),
        (_("Started"), record.started_at),
        (_("Ended"), record.date_done),
    ):
        if moment is not None:
            yield Fact(name, times.exact(moment))
    if record.root_id is not None and record.root_id != record.id:
        yield Fact(_("Root"), record.root_id, page.url("taskrecord_change", record.root_id))
    if record.parent_id is not None:
        yield Fact(_("Parent"), record.parent_id, page.url("taskrecord_change", record.parent_id))


def _how_unique(unique: Unique) -> str:
    """How long a task has its key, in words."""
    words = []
    if unique.mode is not UniqueMode.NONE:
        words.append(str(models.UniqueMode(unique.mode).label))
    if unique.seconds is not None:
        words.append(_("for %(time)s from the call") % {"time": times.duration(unique.seconds)})
    return ", ".join(words)


def _gate(gate: str) -> str:
    """What blocks a task, in words."""
    for beginning, said in (
        (LIMIT, _("the limit of %s")),
        (ORDER, _("the order of %s")),
        (RATE, _("the rate of %s")),
    ):
        if gate.startswith(beginning):
            return said % one_line(gate.removeprefix(beginning), NAME)
    return one_line(gate, NAME)


def _search(page: Page, name: str, value: str) -> str:
    return _list(page, q.qualifier(name, value))


def _list(page: Page, query: str) -> str:
    found = findable(query)
    return page.url("taskrecord_changelist") + q.link(found) if found else ""


def _relatives(page: Page, view: TaskView) -> Iterator[dict[str, Any]]:
    """Its parent, its children, and those whose results come together with its own."""
    root = view.record.root_id or view.record.id
    everything = _search(page, "root", str(root))
    for title, records, more in (
        (_("Parent"), [view.parent] if view.parent else [], False),
        (_("Children"), view.children, view.more_children),
        (_("Together with"), view.siblings, view.more_siblings),
    ):
        if records:
            yield {
                "title": title,
                "records": [
                    {
                        "url": page.url("taskrecord_change", record.id),
                        "task": record.task,
                        "state": record.state,
                    }
                    for record in records[:RELATIVES]
                ],
                "more_url": everything if more or len(records) > RELATIVES else "",
            }


def _history(view: TaskView) -> dict[str, SafeString | str] | None:
    """How long the last runs of the same task took, failed ones marked."""
    runs = [record for record in view.history if record.runtime is not None]
    if len(runs) < 2:
        return None
    runtimes = [record.runtime or 0.0 for record in runs]
    failed = [record.runtime or 0.0 if record.state == "FAILURE" else 0.0 for record in runs]
    title = ngettext("Last %d run of this task", "Last %d runs of this task", len(runs))
    label = _("Run times from %(least)s to %(most)s, %(failed)d failed") % {
        "least": times.duration(min(runtimes)),
        "most": times.duration(max(runtimes)),
        "failed": sum(1 for record in runs if record.state == "FAILURE"),
    }
    return {
        "title": title % len(runs),
        "label": label,
        "spark": charts.sparkline(runtimes, label, failed),
    }
