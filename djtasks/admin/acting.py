"""Doing something to tasks from the admin: to one, to those selected, or to all that match."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import SuspiciousOperation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from djtasks import control
from djtasks.admin.actions import ACTIONS, Action, in_words
from djtasks.admin.base import BrowserAdmin
from djtasks.browser.find import Filter, SearchError
from djtasks.control import Outcome
from djtasks.look.text import one_line
from djtasks.models import TaskRecord

if TYPE_CHECKING:
    from django import forms
    from django.http import HttpRequest, HttpResponse

SELECTED = "_selected_action"
"""The field of the ids, as in the admin's own lists."""

ACROSS = "select_across"
"""The field that says: all that match, not those selected."""

AT_MOST = 1_000
"""Ids that a form may send; a page lists fewer."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a form chose: ids, or all that match a query."""

    ids: tuple[UUID, ...]
    query: str | None

    @classmethod
    def of(cls, request: HttpRequest) -> Chosen:
        """What this request chose.

        Raises SuspiciousOperation for what no page of ours sends.
        """
        if request.POST.get(ACROSS) == "1":
            query = request.POST.get("q", "")
            try:
                Filter.parse(query)
            except SearchError as error:
                raise SuspiciousOperation("no such search") from error
            return cls((), query)
        given = request.POST.getlist(SELECTED)[:AT_MOST]
        try:
            return cls(tuple(UUID(text) for text in given), None)
        except ValueError as error:
            raise SuspiciousOperation("no such id") from error

    def __bool__(self) -> bool:
        return bool(self.ids) or self.query is not None

    @property
    def tasks(self) -> tuple[UUID, ...] | Filter:
        """The ids, or the filter, as ``control.eligible()`` takes them."""
        return self.ids if self.query is None else Filter.parse(self.query)

    def batches(self) -> Iterator[list[UUID]]:
        """The ids in batches."""
        if self.query is None:
            yield list(self.ids)
        else:
            yield from control.select(Filter.parse(self.query))

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """The fields that say the same to the next page."""
        if self.query is not None:
            return [(ACROSS, "1"), ("q", self.query)]
        return [(SELECTED, str(task_id)) for task_id in self.ids]

    @property
    def words(self) -> str:
        """What was chosen, for people."""
        if self.query:
            return _("All that match: %s") % one_line(self.query, 200)
        if self.query is not None:
            return _("All tasks")
        if len(self.ids) == 1:
            return str(self.ids[0])
        return ngettext("%d task", "%d tasks", len(self.ids)) % len(self.ids)


def act(page: BrowserAdmin[TaskRecord], request: HttpRequest) -> HttpResponse:
    """Do what a form asked for, or ask whether it is meant.

    ``page`` is the admin of the tasks. The caller has seen to it that this is a POST.
    """
    action = ACTIONS.get(request.POST.get("action", ""))
    if action is None:
        messages.warning(request, _("No action selected."))
        return page.go_back(request)
    page.demand(request, action.permission)
    chosen = Chosen.of(request)
    if not chosen:
        messages.warning(request, _("No task is selected."))
        return page.go_back(request)
    confirmed = "confirmed" in request.POST
    form = action.form(request.POST if confirmed else None) if action.form else None
    if (confirmed and (form is None or form.is_valid())) or (
        action.is_safe and len(chosen.ids) == 1
    ):
        return _carry_out(page, request, action, chosen, form)
    return _ask(page, request, action, chosen, form)


def _carry_out(
    page: BrowserAdmin[TaskRecord],
    request: HttpRequest,
    action: Action,
    chosen: Chosen,
    form: forms.Form | None,
) -> HttpResponse:
    data: Mapping[str, Any] = form.cleaned_data if form else {}
    outcome = Outcome()
    try:
        for ids in chosen.batches():
            done = action.run(ids, data)
            # Of very many only the number is kept.
            outcome += done if chosen.query is None else replace(done, taken=())
    except ValueError as error:
        messages.error(request, str(error))
        if not outcome.done:
            return page.go_back(request)
    finally:
        # Each batch is done for good when it returns, whatever becomes of the next.
        said = in_words(action, outcome)
        if outcome.done:
            _log(page, request, chosen, outcome, said)
    messages.add_message(request, messages.SUCCESS if outcome.done else messages.WARNING, said)
    return page.go_back(request)


def _log(
    page: BrowserAdmin[TaskRecord],
    request: HttpRequest,
    chosen: Chosen,
    outcome: Outcome,
    said: str,
) -> None:
    """An entry for each selected task that it was done to, for its history; one for a search."""
    if chosen.query is None:
        page.note_all(request, [(str(task_id), str(task_id)) for task_id in outcome.taken], said)
    else:
        page.note(request, "", chosen.words, said)


def _ask(
    page: BrowserAdmin[TaskRecord],
    request: HttpRequest,
    action: Action,
    chosen: Chosen,
    form: forms.Form | None,
) -> HttpResponse:
    outcome: Outcome = control.eligible(action.name, chosen.tasks)
    back = request.POST.get("back", "")
    return page.page(
        request,
        "confirm.html",
        {
            "title": action.question,
            "parent_url": page.url("taskrecord_changelist"),
            "what": chosen.words,
            "explanation": action.explanation,
            "outcome": outcome,
            "counted": True,
            "hidden": [("action", action.name), ("back", back), *chosen.hidden],
            "form": form,
            "verb": action.label,
            "is_dangerous": action.is_dangerous,
            "action_url": page.url("taskrecord_action"),
            "cancel_url": page.safe_back(request),
        },
    )
