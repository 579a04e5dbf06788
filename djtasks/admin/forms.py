"""What is asked before something is done."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from djtasks.routing import LONGEST_QUEUE_NAME

__all__ = ["CopyForm", "MoveForm", "PauseForm", "RevokeForm", "TerminateForm"]


class QueueField(forms.CharField):
    """The name of a queue; empty for none."""

    def clean(self, value: Any) -> str:
        """The name, if there can be a queue of this name."""
        name: str = super().clean(value)
        if len(name.encode(errors="replace")) > LONGEST_QUEUE_NAME:
            raise forms.ValidationError(
                _("The name of a queue has at most %(most)s bytes."),
                params={"most": LONGEST_QUEUE_NAME},
            )
        return name


class MoveForm(forms.Form):
    """Where tasks are to go."""

    queue = QueueField(
        label=_("Queue"), required=False, help_text=_("Empty: each stays in its queue.")
    )
    priority = forms.IntegerField(
        label=_("Priority"),
        required=False,
        min_value=-(2**31) + 1,
        max_value=2**31 - 1,
        help_text=_("Larger runs first. Empty: each keeps its priority."),
    )

    def clean(self) -> dict[str, Any]:
        """One of the two has to be given."""
        data = super().clean() or {}
        if not self.errors and not data.get("queue") and data.get("priority") is None:
            raise forms.ValidationError(_("Give a queue, a priority, or both."))
        return data


class RevokeForm(forms.Form):
    """Why tasks are revoked."""

    reason = forms.CharField(
        label=_("Reason"),
        required=False,
        max_length=200,
        help_text=_("What their result says. May be empty."),
    )


class TerminateForm(forms.Form):
    """How a process is ended."""

    signal = forms.ChoiceField(
        label=_("Signal"),
        choices=[
            ("SIGTERM", _("SIGTERM: may clean up")),
            ("SIGKILL", _("SIGKILL: at once")),
            ("SIGINT", _("SIGINT: as Ctrl-C")),
        ],
        initial="SIGTERM",
    )


class PauseForm(forms.Form):
    """Why a queue or a task is paused."""

    reason = forms.CharField(
        label=_("Reason"),
        required=False,
        max_length=200,
        help_text=_("Shown to everybody who wonders why nothing happens. May be empty."),
    )


class CopyForm(forms.Form):
    """The arguments of a copy, as JSON in the form in which they are stored."""

    args = forms.CharField(
        label=_("Positional arguments"),
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        help_text=_("A list, as JSON."),
    )
    kwargs = forms.CharField(
        label=_("Keyword arguments"),
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        help_text=_("An object, as JSON."),
    )
    queue = QueueField(label=_("Queue"), required=False)
    priority = forms.IntegerField(
        label=_("Priority"), required=False, min_value=-(2**31) + 1, max_value=2**31 - 1
    )

    def __init__(self, *args: Any, with_arguments: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not with_arguments:
            del self.fields["args"], self.fields["kwargs"]

    def clean_args(self) -> list[Any]:
        """The list that was written."""
        value = _parsed(self.cleaned_data["args"])
        if not isinstance(value, list):
            raise forms.ValidationError(_("This has to be a list: [ … ]."))
        return value

    def clean_kwargs(self) -> dict[str, Any]:
        """The object that was written."""
        value = _parsed(self.cleaned_data["kwargs"])
        if not isinstance(value, dict):
            raise forms.ValidationError(_("This has to be an object: { … }."))
        return value

    def payload(self) -> str | None:
        """Both, as they are stored; None where they are not asked for."""
        if "args" not in self.fields:
            return None
        return json.dumps([self.cleaned_data["args"], self.cleaned_data["kwargs"]])


def _parsed(text: str) -> Any:
    try:
        value = json.loads(text)
        json.dumps([value])  # what was read need not be writable: it is about to be nested deeper
    except ValueError as error:
        raise forms.ValidationError(
            _("This is no JSON: %(error)s."), params={"error": str(error)}
        ) from error
    except RecursionError as error:
        raise forms.ValidationError(_("This is nested too deeply.")) from error
    return value
