"""What can be done to tasks from the admin: names, permissions, and what the log says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django import forms
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from djtasks import control
from djtasks.admin.forms import MoveForm, RevokeForm, TerminateForm
from djtasks.control import Operation, Outcome

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["ACTIONS", "Action", "in_words"]

Run = Callable[[Sequence[UUID | str], Mapping[str, Any]], Outcome]

ENDED: Final = frozenset({"SUCCESS", "FAILURE", "REVOKED", "REJECTED"})
NOT_BEGUN: Final = frozenset({"READY", "PENDING", "SCHEDULED", "WAITING", "BLOCKED", "RETRY"})


@dataclass(frozen=True, slots=True)
class Action:
    """One operation as the pages offer it.

    ``states`` are those in which one task's page has its button. ``is_safe`` ones are done at once
    when they are asked for one task; all others are confirmed first.
    """

    name: Operation
    label: StrOrPromise
    question: StrOrPromise
    explanation: StrOrPromise
    permission: str
    states: frozenset[str]
    did: Any
    run: Run
    form: type[forms.Form] | None = None
    is_safe: bool = False
    is_dangerous: bool = False


ACTIONS: Final[dict[str, Action]] = {
    action.name: action
    for action in (
        Action(
            "retry",
            _("Retry"),
            _("Retry these tasks?"),
            _(
                "They run again with the same ids, arguments and options. What became of them is "
                "kept as an attempt."
            ),
            "retry_task",
            ENDED - {"SUCCESS"},
            ngettext_lazy("Retried %(n)s task", "Retried %(n)s tasks", "n"),
            lambda ids, _: control.retry(ids),
            is_safe=True,
        ),
        Action(
            "retry_as_new",
            _("Retry as new"),
            _("Retry these tasks as new ones?"),
            _("The same calls are made again under new ids. What there is stays as it is."),
            "retry_task",
            frozenset(),
            ngettext_lazy(
                "Retried %(n)s task as a new one", "Retried %(n)s tasks as new ones", "n"
            ),
            lambda ids, _: control.retry(ids, keep_id=False),
        ),
        Action(
            "run_now",
            _("Run now"),
            _("Run these tasks now?"),
            _("Those that are scheduled for later become ready at once."),
            "run_task",
            frozenset({"SCHEDULED", "RETRY"}),
            ngettext_lazy("Made %(n)s task ready", "Made %(n)s tasks ready", "n"),
            lambda ids, _: control.run_now(ids),
            is_safe=True,
        ),
        Action(
            "move",
            _("Change queue or priority"),
            _("Change the queue or the priority of these tasks?"),
            _("Those that no worker has begun are moved. A larger priority runs first."),
            "move_task",
            NOT_BEGUN,
            ngettext_lazy("Moved %(n)s task", "Moved %(n)s tasks", "n"),
            lambda ids, data: control.move(
                ids, queue=data["queue"] or None, priority=data["priority"]
            ),
            form=MoveForm,
        ),
        Action(
            "revoke",
            _("Revoke"),
            _("Revoke these tasks?"),
            _(
                "Those that no worker has begun never run. In a workflow, what waits for them is "
                "revoked too."
            ),
            "revoke_task",
            NOT_BEGUN,
            ngettext_lazy("Revoked %(n)s task", "Revoked %(n)s tasks", "n"),
            lambda ids, data: control.revoke(ids, reason=data["reason"] or "revoked"),
            form=RevokeForm,
            is_dangerous=True,
        ),
        Action(
            "terminate",
            _("Terminate"),
            _("Terminate these tasks?"),
            _(
                "The processes that run them are killed, in the middle of whatever they do. In the "
                "pools threads and solo the tasks are asked to end."
            ),
            "revoke_task",
            frozenset({"RUNNING", "STARTED"}),
            ngettext_lazy("Had %(n)s task terminated", "Had %(n)s tasks terminated", "n"),
            lambda ids, data: control.terminate(ids, signal=data["signal"]),
            form=TerminateForm,
            is_dangerous=True,
        ),
        Action(
            "delete",
            _("Delete"),
            _("Delete the results of these tasks?"),
            _("Nothing remains of those that have ended. What is queued stays: revoke it first."),
            "delete_taskrecord",
            ENDED,
            ngettext_lazy("Deleted %(n)s task", "Deleted %(n)s tasks", "n"),
            lambda ids, _: control.delete(ids),
            is_dangerous=True,
        ),
    )
}
"""The operations by their names, in the order in which they are offered."""


def in_words(action: Action, outcome: Outcome) -> str:
    """One sentence that says what was done, and what was passed over and why."""
    said = str(action.did % {"n": outcome.done})
    said = said.replace(str(outcome.done), number_format(outcome.done, force_grouping=True), 1)
    passed = "; ".join(f"{reason} ({count})" for reason, count in outcome.skipped.items())
    if passed:
        return str(_("%(done)s. Passed over: %(reasons)s.")) % {"done": said, "reasons": passed}
    return f"{said}."
