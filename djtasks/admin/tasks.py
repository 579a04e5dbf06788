"""The tasks: one list of all of them from call to end, and a page for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseRedirect
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from djtasks import control
from djtasks.admin import query as q
from djtasks.admin.acting import act
from djtasks.admin.actions import ACTIONS, Action
from djtasks.admin.base import BrowserAdmin
from djtasks.admin.forms import CopyForm
from djtasks.admin.tasklist import EXAMPLES, chips, filters, row
from djtasks.admin.taskpage import initial_copy, task_context
from djtasks.browser.find import Filter, SearchError, find
from djtasks.browser.offered import offered
from djtasks.browser.task import TaskView, task
from djtasks.ids import to_uuid
from djtasks.look.text import NAME, one_line
from djtasks.models import TaskRecord

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

SIZE = 50
"""Tasks on a page of the list."""


@admin.register(TaskRecord)
class TaskRecordAdmin(BrowserAdmin[TaskRecord]):
    """The tasks."""

    def get_urls(self) -> list[URLPattern]:
        """The addresses of actions and copies, before those of the admin."""
        view = self.admin_site.admin_view
        return [
            path("act/", self.committing(self.act), name="djtasks_taskrecord_action"),
            path("<uuid:task_id>/copy/", view(self.copy), name="djtasks_taskrecord_copy"),
            *super().get_urls(),
        ]

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> TaskRecord | None:
        """What the history page of the admin is about: there is no table to look it up in."""
        try:
            key, _custom = to_uuid(object_id)
        except ValueError:
            return None
        return TaskRecord(id=key)

    @method_decorator(require_safe)
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, by what the search box says."""
        self.check_view(request)
        query = request.GET.get("q", "").replace("\0", "").strip()
        context: dict[str, Any] = {
            "title": _("Tasks"),
            "is_live": True,
            "query": query,
            "examples": EXAMPLES,
            "chips": list(chips(query)),
            "filters": filters(query, offered()),
            "choices": self.choices(request),
            "action_url": self.url("taskrecord_action"),
        }
        try:
            context |= self._found(request, query)
        except SearchError as error:
            context |= {"search_error": str(error), "rows": []}
        return self.page(request, "tasks.html", context | (extra_context or {}))

    def _found(self, request: HttpRequest, query: str) -> dict[str, Any]:
        """One page of what matches."""
        before, after = request.GET.get("before"), request.GET.get("after")
        page = find(Filter.parse(query), cursor=before or after, size=SIZE, back=before is not None)
        return {
            "rows": [row(record, self._change_url) for record in page.records],
            "next_url": page.next and q.link(query, after=page.next),
            "previous_url": page.previous and q.link(query, before=page.previous),
            "searched": None
            if page.searched_all
            else _("About %s tasks were looked at so far; older ones may match as well.")
            % number_format(page.searched, force_grouping=True),
        }

    def choices(self, request: HttpRequest) -> list[Action]:
        """What the user may do to several tasks."""
        return [action for action in ACTIONS.values() if self.may(request, action.permission)]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of one task."""
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        self.check_view(request)
        view = self._view(object_id)
        if view is None:
            return self._gone(request, object_id)
        context = task_context(self, request, view)
        return self.page(request, "task.html", context | (extra_context or {}))

    def _view(self, object_id: str) -> TaskView | None:
        try:
            key, _custom = to_uuid(object_id)
        except ValueError:
            return None
        return task(key)

    def _gone(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Nothing is known of it: it never was, or its result is gone."""
        messages.warning(
            request,
            _("There is no task %s: it never was, or its result has expired.") % object_id[:100],
        )
        return HttpResponseRedirect(self.url("taskrecord_changelist"))

    def _change_url(self, task_id: UUID) -> str:
        return self.url("taskrecord_change", task_id)

    @method_decorator(require_POST)
    def act(self, request: HttpRequest) -> HttpResponse:
        """Do what a form asks for."""
        return act(self, request)

    def copy(self, request: HttpRequest, task_id: UUID) -> HttpResponse:
        """Ask for the arguments of a copy, and run it."""
        self.check_view(request)
        self.demand(request, "run_task")
        view = task(task_id)
        if view is None:
            raise Http404
        back = self._change_url(task_id)
        initial = initial_copy(view)
        if request.method == "POST":
            form = CopyForm(request.POST, with_arguments=initial is not None)
            if form.is_valid():
                try:
                    new = control.copy(
                        task_id,
                        payload=form.payload(),
                        queue=form.cleaned_data["queue"] or None,
                        priority=form.cleaned_data["priority"],
                    )
                except LookupError as error:
                    raise Http404 from error
                except ValueError as error:
                    form.add_error(None, str(error))
                else:
                    said = _("Ran a copy of it: %s.") % new
                    self.note(request, str(task_id), str(task_id), said)
                    messages.success(request, _("This is the copy."))
                    return HttpResponseRedirect(self._change_url(new))
        else:
            form = CopyForm(initial=initial, with_arguments=initial is not None)
        return self.page(
            request,
            "confirm.html",
            {
                "title": _("Run a copy"),
                "parent_url": self.url("taskrecord_changelist"),
                "what": one_line(view.record.task, NAME),
                "explanation": _(
                    "The same task is called once more, under a new id and in no workflow."
                )
                if initial
                else _(
                    "The same task is called once more, with the same arguments, under a new id "
                    "and in no workflow. They are not shown here, for they are private or large."
                ),
                "counted": False,
                "hidden": [],
                "form": form,
                "verb": _("Run a copy"),
                "action_url": self.url("taskrecord_copy", task_id),
                "cancel_url": back,
            },
        )
