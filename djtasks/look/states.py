"""How a state looks: a word, a shape and a colour, in this order of importance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from djtasks.look.text import NAME, one_line

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["ORDER", "Look", "look", "mark", "pill"]


@dataclass(frozen=True, slots=True)
class Look:
    """A state's word, the class of its colour, and its shape in a square of 12."""

    word: StrOrPromise
    kind: str
    shape: str


_CHECK: Final = '<path d="M2 6.5 5 9.5 10 3"/>'
_CROSS: Final = '<path d="M3 3l6 6M9 3l-6 6"/>'
_AGAIN: Final = '<path d="M9.7 4.2A4.2 4.2 0 1 0 10.2 6"/><path d="M10.2 1.6v3H7.4"/>'
_CLOCK: Final = '<circle cx="6" cy="6" r="4.5"/><path d="M6 3.5V6l1.8 1.3"/>'
_DOTS: Final = '<path d="M2.5 6h.01M6 6h.01M9.5 6h.01" class="djt-dots"/>'
_PLAY: Final = '<path class="djt-full" d="M3.5 2v8l6-4z"/>'
_RING: Final = '<circle cx="6" cy="6" r="3.5"/>'
_BARRED: Final = '<circle cx="6" cy="6" r="4.5"/><path d="M2.9 9.1 9.1 2.9"/>'
_GATE: Final = '<path d="M2 2v8M10 2v8M2 6h8"/>'
_DIAMOND: Final = '<path d="M6 1.5 10.5 6 6 10.5 1.5 6z"/>'

LOOKS: Final = {
    "READY": Look(_("Ready"), "ready", _RING),
    "PENDING": Look(_("Ready"), "ready", _RING),
    "SCHEDULED": Look(_("Scheduled"), "scheduled", _CLOCK),
    "WAITING": Look(_("Waiting"), "waiting", _DOTS),
    "BLOCKED": Look(_("Blocked"), "blocked", _GATE),
    "RUNNING": Look(_("Running"), "running", _PLAY),
    "STARTED": Look(_("Running"), "running", _PLAY),
    "RECEIVED": Look(_("Received"), "ready", _RING),
    "RETRY": Look(_("Retrying"), "retry", _AGAIN),
    "SUCCESS": Look(_("Succeeded"), "success", _CHECK),
    "FAILURE": Look(_("Failed"), "failure", _CROSS),
    "LOST": Look(_("Lost"), "failure", _CROSS),
    "REVOKED": Look(_("Revoked"), "revoked", _BARRED),
    "REJECTED": Look(_("Rejected"), "revoked", _BARRED),
}

ORDER: Final = (
    "READY",
    "RUNNING",
    "SCHEDULED",
    "WAITING",
    "BLOCKED",
    "RETRY",
    "FAILURE",
    "SUCCESS",
    "REVOKED",
)
"""The states that the list is filtered by."""


def look(state: str) -> Look:
    """The look of a state; one that a task made up is shown by its own name."""
    return LOOKS.get(state) or Look(one_line(state, 60), "other", _DIAMOND)


def mark(state: str) -> SafeString:
    """The shape of a state."""
    return format_html(
        '<svg class="djt-mark" viewBox="0 0 12 12" aria-hidden="true">{}</svg>',
        mark_safe(look(state).shape),  # one of the constants above
    )


def pill(state: str) -> SafeString:
    """A state as its shape and word."""
    found = look(state)
    return format_html(
        '<span class="djt-pill djt-is-{}" title="{}">{}<span>{}</span></span>',
        found.kind,
        one_line(state, NAME),
        mark(state),
        found.word,
    )
