"""Pausing and resuming tasks, by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.utils.translation import gettext as _

from djtasks import control
from djtasks.admin.base import BrowserAdmin
from djtasks.admin.forms import PauseForm
from djtasks.control.tasks import LONGEST_NAME
from djtasks.look.text import NAME, one_line

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

PERMISSION = "pause_task"


def pause_url(page: BrowserAdmin[Any], request: HttpRequest, name: str) -> str:
    """Where a form pauses or resumes this task; empty where it cannot, or the user may not."""
    may = len(name) <= LONGEST_NAME and page.may(request, PERMISSION)
    return page.url("overview_task_action") if may else ""


def pause_or_resume(page: BrowserAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Do to the task that a form names what it says, or ask whether it is meant.

    The caller has seen to it that this is a POST.
    """
    page.demand(request, PERMISSION)
    name = request.POST.get("task", "")
    try:
        match request.POST.get("action"):
            case "pause":
                return _pause(page, request, name)
            case "resume":
                return _resume(page, request, name)
    except ValueError as error:
        messages.error(request, str(error))
        return page.go_back(request)
    messages.warning(request, _("No action selected."))
    return page.go_back(request)


def _pause(page: BrowserAdmin[Any], request: HttpRequest, name: str) -> HttpResponse:
    confirmed = "confirmed" in request.POST
    form = PauseForm(request.POST if confirmed else None)
    if confirmed and form.is_valid():
        control.pause_task(name, reason=form.cleaned_data["reason"])
        return _done(page, request, name, _("Paused the task %s.") % one_line(name, NAME))
    return page.page(
        request,
        "confirm.html",
        {
            "title": _("Pause this task?"),
            "parent_url": page.url("overview_changelist"),
            "what": one_line(name, NAME),
            "explanation": _(
                "No worker begins it, in whichever queue, until it is resumed. What runs goes on, "
                "and what is enqueued waits and is in nobody's way."
            ),
            "counted": False,
            "hidden": [
                ("action", "pause"),
                ("task", name),
                ("back", request.POST.get("back", "")),
            ],
            "form": form,
            "verb": _("Pause"),
            "action_url": page.url("overview_task_action"),
            "cancel_url": page.safe_back(request),
        },
    )


def _resume(page: BrowserAdmin[Any], request: HttpRequest, name: str) -> HttpResponse:
    if control.resume_task(name):
        return _done(page, request, name, _("Resumed the task %s.") % one_line(name, NAME))
    messages.warning(request, _("The task %s is not paused.") % one_line(name, NAME))
    return page.go_back(request)


def _done(page: BrowserAdmin[Any], request: HttpRequest, name: str, said: str) -> HttpResponse:
    page.note(request, "", one_line(name, NAME), said)
    messages.success(request, said)
    return page.go_back(request)
