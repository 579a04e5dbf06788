"""The overview: how things are, what needs attention, what happened lately."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_POST, require_safe

from djtasks.admin import query as q
from djtasks.admin.base import BrowserAdmin
from djtasks.admin.pausing import PERMISSION, pause_or_resume, pause_url
from djtasks.admin.queues import permissions
from djtasks.admin.series import depth, runtimes, throughput
from djtasks.browser.activity import Range, TaskActivity, activity
from djtasks.browser.attention import Note, attention
from djtasks.browser.counts import Capped, Counts, counts
from djtasks.browser.failures import failures
from djtasks.browser.filter import findable
from djtasks.browser.fleet import workers
from djtasks.browser.paused import paused_tasks
from djtasks.browser.queues import queues
from djtasks.browser.reading import reading
from djtasks.look import charts, times
from djtasks.models import Overview, PeriodicTask, Queue, TaskRecord, Worker

if TYPE_CHECKING:
    from django.db.models import Model
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

TASKS = 25
"""Tasks that the table has at most, those that ended most often."""


@admin.register(Overview)
class OverviewAdmin(BrowserAdmin[Overview]):
    """The overview."""

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Overview | None:
        """None: there are no rows, nor a table to look for them in."""
        return None

    def get_urls(self) -> list[URLPattern]:
        """The address that what is done to a task as such is sent to, before those of the admin."""
        act = path("task/", self.committing(self.act), name="djtasks_overview_task_action")
        return [act, *super().get_urls()]

    @method_decorator(require_POST)
    def act(self, request: HttpRequest) -> HttpResponse:
        """Pause or resume the task that a form names."""
        return pause_or_resume(self, request)

    @method_decorator(require_safe)
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The whole page."""
        self.check_view(request)
        chosen = _range(request.GET.get("range", ""))
        with reading(few=True):
            what_happened, all_workers = activity(chosen), workers()
            all_queues = queues(all_workers)
            now = counts(all_queues, all_workers)
            paused = paused_tasks()
            notes, groups = attention(all_queues, all_workers, paused), failures()
        running = Capped(sum(queue.running for queue in all_queues))
        tiles = list(self._tiles(request, now, running))
        return self.page(
            request,
            "overview.html",
            {
                "title": _("Overview"),
                "is_live": True,
                "notes": list(self._notes(request, notes)),
                "tiles": tiles,
                "summary": ", ".join(f"{tile['name']}: {tile['value']}" for tile in tiles),
                "ranges": [
                    {"url": f"?range={each.value}", "text": each.label, "is_chosen": each is chosen}
                    for each in Range
                ],
                "range_text": {
                    Range.HOUR: _("in the last hour"),
                    Range.DAY: _("in the last 24 hours"),
                    Range.WEEK: _("in the last 7 days"),
                }[chosen],
                "charts": [
                    throughput(what_happened),
                    runtimes(what_happened),
                    depth(what_happened),
                ],
                "failures": groups,
                "queues": all_queues,
                "workers": all_workers,
                "tasks": list(self._tasks(request, what_happened.tasks[:TASKS])),
                "paused": [
                    {"task": each, "url": self._search(request, each.query)} for each in paused
                ],
                "paused_names": {each.name for each in paused},
                "pause_url": self.url("overview_task_action"),
                "may_pause_task": self.may(request, PERMISSION),
                "action_url": self.url("taskrecord_action"),
                "may_retry": self.may(request, "retry_task"),
                "may_control": self.may(request, "control_worker"),
                **permissions(self, request),
                **(extra_context or {}),
            },
        )

    def _tiles(
        self, request: HttpRequest, now: Counts, running: Capped
    ) -> Iterator[dict[str, Any]]:
        """The numbers, each a link to what it counts."""
        for state, name, count, query in (
            ("READY", pgettext("tasks", "Ready"), now.ready, "state:READY"),
            ("SCHEDULED", pgettext("tasks", "Scheduled"), now.scheduled, "state:SCHEDULED"),
            ("WAITING", pgettext("tasks", "Waiting"), now.waiting, "state:WAITING"),
            ("BLOCKED", pgettext("tasks", "Blocked"), now.blocked, "state:BLOCKED"),
            ("RUNNING", pgettext("tasks", "Running"), running, "state:RUNNING"),
            ("FAILURE", _("Failed in 24 h"), now.failed, "state:FAILURE since:24h"),
        ):
            if state == "BLOCKED" and not count:
                # Most projects limit nothing.
                continue
            yield {
                "name": name,
                "state": state,
                "value": str(count),
                "url": self._search(request, query),
                "is_bad": state == "FAILURE" and bool(count),
            }
        yield {
            "name": _("Oldest ready"),
            "value": "-" if now.latency is None else times.rough(now.latency),
            "url": self.list_url(request, Queue),
        }
        yield {
            "name": _("Workers"),
            "value": number_format(now.workers),
            "url": self.list_url(request, Worker),
            "is_bad": not now.workers,
        }

    def _tasks(self, request: HttpRequest, rows: list[TaskActivity]) -> Iterator[dict[str, Any]]:
        for row in rows:
            label = _("%(ended)d ended, %(failed)d failed") % {
                "ended": row.ended,
                "failed": row.failed,
            }
            yield {
                "row": row,
                "url": self._search(request, row.query) if row.query else "",
                "pause_url": pause_url(self, request, row.task),
                "spark": charts.sparkline(row.spark, label, row.spark_failed),
            }

    def _notes(self, request: HttpRequest, notes: list[Note]) -> Iterator[dict[str, Any]]:
        models: dict[str, type[Model]] = {
            "overview": Overview,
            "taskrecord": TaskRecord,
            "periodictask": PeriodicTask,
            "queue": Queue,
            "worker": Worker,
        }
        for note in notes:
            query = findable(note.query)
            address = q.link(query) if query else note.address
            # The list of all tasks is no answer to a search that is too long.
            is_found = bool(query) or not note.query
            yield {
                "text": note.text,
                "is_severe": note.is_severe,
                "url": self.list_url(request, models[note.page], address) if is_found else "",
            }

    def _search(self, request: HttpRequest, query: str) -> str:
        """The address of a search, for those who may see it."""
        return self.list_url(request, TaskRecord, q.link(query))


def _range(text: str) -> Range:
    try:
        return Range(text)
    except ValueError:
        return Range.HOUR
