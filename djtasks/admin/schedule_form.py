"""The form of a schedule: fields for every kind, of which those of the chosen one count."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import available_timezones

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from djtasks.admin.forms import QueueField
from djtasks.beat.problems import CannotSendError, check_call, known_tasks
from djtasks.codec import decode_call
from djtasks.codec.text import check_size
from djtasks.codec.values import dumps
from djtasks.exceptions import DecodeError, EncodeError, ScheduleError
from djtasks.models import PeriodicTask
from djtasks.schedules import Schedule, clocked, crontab, from_json, schedule, solar
from djtasks.schedules.sun import EVENTS
from djtasks.schedules.words import EVENT_NAMES
from djtasks.schedules.zones import project_zone

__all__ = ["ScheduleForm"]

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[PeriodicTask]
else:
    _ModelForm = forms.ModelForm

UNITS: Final = {
    "1": gettext_lazy("seconds"),
    "60": gettext_lazy("minutes"),
    "3600": gettext_lazy("hours"),
    "86400": gettext_lazy("days"),
}
"""Lengths in seconds."""

KINDS: Final = {
    "schedule": gettext_lazy("at an interval"),
    "crontab": gettext_lazy("by a crontab"),
    "clocked": gettext_lazy("once, at a time"),
    "solar": gettext_lazy("with the sun"),
}

NEEDED: Final = {
    "schedule": ("every",),
    "crontab": ("cron",),
    "clocked": ("moment",),
    "solar": ("latitude", "longitude"),
}
"""The fields that a kind cannot do without; the first is told what is wrong with the rule."""


class TaskField(forms.ChoiceField):
    """One of the tasks that are registered here."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=self._known, **kwargs)

    @staticmethod
    def _known() -> list[tuple[str, Any]]:
        return [("", _("Choose a task …")), *((name, name) for name in known_tasks())]


class MomentField(forms.DateTimeField):
    """A time in the user's zone, in a field that browsers have a calendar for."""

    widget = forms.DateTimeInput(
        format="%Y-%m-%dT%H:%M:%S", attrs={"type": "datetime-local", "step": 1}
    )


class ScheduleForm(_ModelForm):
    """A schedule, with its rule in fields of their own."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    task = TaskField(label=gettext_lazy("Task"))
    description = forms.CharField(
        label=gettext_lazy("Description"),
        required=False,
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    kind = forms.ChoiceField(
        label=gettext_lazy("It runs"),
        choices=list(KINDS.items()),
        widget=forms.RadioSelect,
        initial="schedule",
        help_text=gettext_lazy("Of the fields below those of this kind count."),
    )
    every = forms.FloatField(label=gettext_lazy("Every"), required=False)
    unit = forms.ChoiceField(
        label=gettext_lazy("Unit"), required=False, choices=list(UNITS.items()), initial="60"
    )
    relative = forms.BooleanField(
        label=gettext_lazy("By the clock"),
        required=False,
        help_text=gettext_lazy("At full seconds, minutes, hours, or at midnight."),
    )
    cron = forms.CharField(
        label=gettext_lazy("Crontab"),
        required=False,
        max_length=500,
        help_text=gettext_lazy(
            "Minute, hour, day of month, month, day of week: 30 4 * * mon-fri is at 04:30 from "
            "Monday to Friday. All five have to match."
        ),
    )
    zone = forms.ChoiceField(label=gettext_lazy("Time zone"), required=False)
    moment = MomentField(label=gettext_lazy("Time"), required=False)
    event = forms.ChoiceField(
        label=gettext_lazy("Event"),
        required=False,
        choices=[(event, EVENT_NAMES[event]) for event in EVENTS],
        initial="sunrise",
    )
    latitude = forms.FloatField(
        label=gettext_lazy("Latitude"),
        required=False,
        help_text=gettext_lazy("In degrees; south is negative."),
    )
    longitude = forms.FloatField(
        label=gettext_lazy("Longitude"),
        required=False,
        help_text=gettext_lazy("In degrees; west is negative."),
    )
    args = forms.JSONField(
        label=gettext_lazy("Positional arguments"),
        required=False,
        initial=list,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=gettext_lazy("A list, as JSON."),
    )
    kwargs = forms.JSONField(
        label=gettext_lazy("Keyword arguments"),
        required=False,
        initial=dict,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=gettext_lazy("An object, as JSON."),
    )
    queue = QueueField(
        label=gettext_lazy("Queue"),
        required=False,
        help_text=gettext_lazy("Empty: that of the task."),
    )
    priority = forms.IntegerField(
        label=gettext_lazy("Priority"),
        required=False,
        min_value=-(2**31) + 1,
        max_value=2**31 - 1,
        help_text=gettext_lazy("Larger runs first. Empty: that of the task."),
    )
    expires = forms.FloatField(
        label=gettext_lazy("Expires after"),
        required=False,
        min_value=0.001,
        max_value=3_000_000_000,
        help_text=gettext_lazy("Seconds: what has not begun by then is dropped. Empty: never."),
    )

    start_time = MomentField(
        label=gettext_lazy("Start"),
        required=False,
        help_text=gettext_lazy("It does not run before. Intervals are counted from it."),
    )
    end_time = MomentField(
        label=gettext_lazy("End"),
        required=False,
        help_text=gettext_lazy("It does not run after."),
    )

    class Meta:
        model = PeriodicTask
        fields = (
            *("name", "task", "description", "enabled", "args", "kwargs", "queue", "priority"),
            *("expires", "one_off", "start_time", "end_time"),
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = self.fields["zone"]
        assert isinstance(zone, forms.ChoiceField)
        zone.choices = list(_zones())
        row = self.instance
        if row._state.adding:
            return
        if row.task and row.task not in known_tasks():
            # It may be known to the workers; whether it can be saved is another question.
            task = self.fields["task"]
            assert isinstance(task, forms.ChoiceField)
            task.choices = [*TaskField._known(), (row.task, row.task)]
        try:
            self.initial.update(_initial(from_json(row.schedule)))
        except ScheduleError:
            self.initial["kind"] = ""

    def clean_args(self) -> list[Any]:
        """The list that was written."""
        value = self.cleaned_data["args"]
        if value is None:
            return []
        if not isinstance(value, list):
            raise forms.ValidationError(_("This has to be a list: [ … ]."))
        return value

    def clean_kwargs(self) -> dict[str, Any]:
        """The object that was written."""
        value = self.cleaned_data["kwargs"]
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise forms.ValidationError(_("This has to be an object: { … }."))
        return value

    def clean(self) -> dict[str, Any]:
        """The rule, and whether the task can be called like that."""
        data = super().clean() or {}
        self._clean_schedule(data)
        start, end = data.get("start_time"), data.get("end_time")
        if start and end and end < start:
            self.add_error("end_time", _("This is before the start."))
        if "args" in data and "kwargs" in data and data.get("task"):
            try:
                check_call(data["task"], data["args"], data["kwargs"])
                text = dumps((data["args"], data["kwargs"]))
                check_size(text, "the arguments")
                decode_call(text)
            except (CannotSendError, DecodeError, EncodeError, RecursionError, ValueError) as error:
                self.add_error("args", str(error))
        return data

    def _clean_schedule(self, data: dict[str, Any]) -> None:
        kind = data.get("kind")
        names = NEEDED.get(str(kind), ())
        missing = [name for name in names if data.get(name) in (None, "")]
        for name in missing:
            if name not in self.errors:
                self.add_error(name, _("This is needed here."))
        if not kind or missing or any(name in self.errors for name in names):
            return
        try:
            rule = self._rule(kind, data)
            stored = rule.to_json()
            is_new = stored != self.instance.schedule
            if is_new and isinstance(rule, clocked) and rule.moment <= timezone.now():
                raise ScheduleError(_("This time has passed."))
            self.instance.schedule = stored
        except ScheduleError as error:
            self.add_error(names[0], str(error))

    @staticmethod
    def _rule(kind: str, data: dict[str, Any]) -> Schedule:
        if kind == "schedule":
            seconds = data["every"] * float(data.get("unit") or 60)
            return schedule(seconds, relative=bool(data.get("relative")))
        if kind == "crontab":
            return crontab.from_string(data["cron"], timezone=data.get("zone") or None)
        if kind == "clocked":
            return clocked(data["moment"])
        event = data.get("event") or "sunrise"
        return solar(event, data["latitude"], data["longitude"])


def _initial(rule: Schedule) -> dict[str, Any]:
    """The fields that say the same as a rule."""
    given: dict[str, Any] = {"kind": rule.kind}
    match rule:
        case schedule():
            unit = next(u for u in reversed([*UNITS]) if not rule.seconds % int(u) or u == "1")
            every = rule.seconds / int(unit)
            given |= {
                "every": int(every) if every.is_integer() else every,
                "unit": unit,
                "relative": rule.relative,
            }
        case crontab():
            given |= {"cron": rule.fields, "zone": rule.timezone or ""}
        case clocked():
            given |= {"moment": timezone.localtime(rule.moment)}
        case solar():
            given |= {"event": rule.event, "latitude": rule.lat, "longitude": rule.lon}
    return given


def _zones() -> Iterator[tuple[str, str]]:
    yield "", _("that of the project (%s)") % project_zone()
    for name in sorted(available_timezones()):
        if "/" in name or name == "UTC":
            yield name, name
