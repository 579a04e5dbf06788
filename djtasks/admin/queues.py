"""The queues: how long they are, who serves them, and pausing, resuming and purging them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import SuspiciousOperation
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from djtasks import control
from djtasks.admin.base import BrowserAdmin
from djtasks.admin.forms import PauseForm
from djtasks.browser.queues import queues
from djtasks.control import Outcome
from djtasks.look.text import NAME, one_line
from djtasks.models import Queue

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern


@admin.register(Queue)
class QueueAdmin(BrowserAdmin[Queue]):
    """The queues."""

    fields = ("name", "paused_at", "reason", "seen_at")

    def get_urls(self) -> list[URLPattern]:
        """The address that what is done to a queue is sent to, before those of the admin."""
        act = path("act/", self.committing(self.act), name="djtasks_queue_action")
        return [act, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """All queues."""
        self.check_view(request)
        found = queues()
        return self.page(
            request,
            "queues.html",
            {
                "title": _("Queues"),
                "is_live": True,
                "queues": found,
                **permissions(self, request),
                **(extra_context or {}),
            },
        )

    @method_decorator(require_POST)
    def act(self, request: HttpRequest) -> HttpResponse:
        """Pause, resume or purge the queue that a form names."""
        name = request.POST.get("queue", "")
        if "\0" in name:
            raise SuspiciousOperation("no such queue")
        match request.POST.get("action"):
            case "pause":
                self.demand(request, "pause_queue")
                return self._pause(request, name)
            case "resume":
                self.demand(request, "pause_queue")
                return self._resume(request, name)
            case "purge":
                self.demand(request, "purge_queue")
                return self._purge(request, name)
        messages.warning(request, _("No action selected."))
        return self.go_back(request)

    def _pause(self, request: HttpRequest, name: str) -> HttpResponse:
        confirmed = "confirmed" in request.POST
        form = PauseForm(request.POST if confirmed else None)
        if not (confirmed and form.is_valid()):
            explanation = _(
                "No worker takes tasks from it until it is resumed. What runs goes on, and what is "
                "enqueued waits."
            )
            return self._ask(
                request, name, _("Pause this queue?"), explanation, _("Pause"), form=form
            )
        try:
            control.pause(name, reason=form.cleaned_data["reason"])
        except ValueError as error:
            messages.error(request, str(error))
            return self.go_back(request)
        return self._done(request, name, _("Paused the queue %s.") % one_line(name, NAME))

    def _resume(self, request: HttpRequest, name: str) -> HttpResponse:
        if control.resume(name):
            return self._done(request, name, _("Resumed the queue %s.") % one_line(name, NAME))
        messages.warning(request, _("The queue %s is not paused.") % one_line(name, NAME))
        return self.go_back(request)

    def _purge(self, request: HttpRequest, name: str) -> HttpResponse:
        if "confirmed" not in request.POST:
            explanation = _(
                "All of its tasks that no worker has begun are discarded, for good. Those that "
                "other tasks wait for end as revoked, with what waits for them."
            )
            return self._ask(
                request,
                name,
                _("Purge this queue?"),
                explanation,
                _("Purge"),
                outcome=control.purgeable(name),
                is_dangerous=True,
            )
        try:
            count = control.purge(name)
        except Exception:
            # What was discarded before is gone.
            said = _("Began to purge the queue %s, and did not come to an end.") % one_line(
                name, NAME
            )
            self.note(request, name, one_line(name, NAME), said)
            raise
        said = ngettext(
            "Discarded %(n)s task of the queue %(queue)s.",
            "Discarded %(n)s tasks of the queue %(queue)s.",
            count,
        ) % {"n": number_format(count, force_grouping=True), "queue": one_line(name, NAME)}
        return self._done(request, name, said)

    def _done(self, request: HttpRequest, name: str, said: str) -> HttpResponse:
        self.note(request, name, one_line(name, NAME), said)
        messages.success(request, said)
        return self.go_back(request)

    def _ask(
        self,
        request: HttpRequest,
        name: str,
        question: str,
        explanation: str,
        verb: str,
        *,
        form: PauseForm | None = None,
        outcome: Outcome | None = None,
        is_dangerous: bool = False,
    ) -> HttpResponse:
        back = request.POST.get("back", "")
        return self.page(
            request,
            "confirm.html",
            {
                "title": question,
                "parent_url": self.url("queue_changelist"),
                "what": one_line(name, NAME),
                "explanation": explanation,
                "outcome": outcome,
                "counted": outcome is not None,
                "hidden": [
                    ("action", request.POST.get("action", "")),
                    ("queue", name),
                    ("back", back),
                ],
                "form": form,
                "verb": verb,
                "is_dangerous": is_dangerous,
                "action_url": self.url("queue_action"),
                "cancel_url": self.safe_back(request),
            },
        )


def permissions(page: BrowserAdmin[Any], request: HttpRequest) -> dict[str, bool]:
    """What the user may do to queues, for templates."""
    return {
        "may_pause": page.may(request, "pause_queue"),
        "may_purge": page.may(request, "purge_queue"),
    }
