"""The workers: what each of them runs, and telling them to be quiet or to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import SuspiciousOperation
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from djtasks import control
from djtasks.admin.base import BrowserAdmin
from djtasks.browser.fleet import workers
from djtasks.look.text import NAME, one_line
from djtasks.models import Worker

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern


@admin.register(Worker)
class WorkerAdmin(BrowserAdmin[Worker]):
    """The workers that are alive."""

    exclude = ("orders", "running", "lease", "locked", "wants_work")

    def get_urls(self) -> list[URLPattern]:
        """The address that orders are sent to, before those of the admin."""
        act = path("act/", self.committing(self.act), name="djtasks_worker_action")
        return [act, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """All workers."""
        self.check_view(request)
        return self.page(
            request,
            "workers.html",
            {
                "title": _("Workers"),
                "is_live": True,
                "workers": workers(),
                "may_control": self.may(request, "control_worker"),
                **(extra_context or {}),
            },
        )

    @method_decorator(require_POST)
    def act(self, request: HttpRequest) -> HttpResponse:
        """Give the worker that a form names an order."""
        self.demand(request, "control_worker")
        try:
            worker_id = int(request.POST.get("worker", ""))
        except ValueError as error:
            raise SuspiciousOperation("no such id") from error
        worker = Worker.objects.filter(pk=worker_id).first()
        if worker is None:
            messages.warning(request, _("This worker is gone."))
            return self.go_back(request)
        name = one_line(str(worker), NAME)
        match request.POST.get("action"):
            case "quiet":
                outcome = control.quiet([worker_id])
                said = _("Told %s to take no more tasks.") % name
            case "unquiet":
                outcome = control.unquiet([worker_id])
                said = _("Told %s to take tasks again.") % name
            case "stop":
                if "confirmed" not in request.POST:
                    return self._ask(request, worker_id, name)
                outcome = control.stop([worker_id])
                said = _("Told %s to finish what it runs and to stop.") % name
            case _other:
                messages.warning(request, _("No action selected."))
                return self.go_back(request)
        if outcome.done:
            self.note(request, str(worker_id), name, said)
            messages.success(request, said)
        else:
            messages.warning(request, "; ".join(map(str, outcome.skipped)))
        return self.go_back(request)

    def _ask(self, request: HttpRequest, worker_id: int, name: str) -> HttpResponse:
        """Ask whether it is to stop: only who started it can start it again."""
        return self.page(
            request,
            "confirm.html",
            {
                "title": _("Stop this worker?"),
                "parent_url": self.url("worker_changelist"),
                "what": name,
                "explanation": _(
                    "It finishes what it runs and ends. Nothing here can start it again: what "
                    "started it may do so."
                ),
                "counted": False,
                "hidden": [
                    ("action", "stop"),
                    ("worker", str(worker_id)),
                    ("back", request.POST.get("back", "")),
                ],
                "verb": _("Stop"),
                "is_dangerous": True,
                "action_url": self.url("worker_action"),
                "cancel_url": self.safe_back(request),
            },
        )
