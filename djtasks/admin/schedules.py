"""The schedules: a list, a form for those of the admin, and what may be done to all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy
from django.views.decorators.http import require_POST

from djtasks.admin.base import BrowserAdmin
from djtasks.admin.schedule_columns import ScheduleColumns
from djtasks.admin.schedule_form import KINDS, ScheduleForm
from djtasks.beat.problems import CannotSendError
from djtasks.beat.send import run_now
from djtasks.look.text import NAME, one_line
from djtasks.models import PeriodicTask, Source, TaskRecord

if TYPE_CHECKING:
    from django.urls import URLPattern
    from django_stubs_ext import StrOrPromise

AT_MOST: Final = 1_000
"""Schedules that one form may name; a page lists fewer."""


class Standing(admin.SimpleListFilter):
    """How a schedule stands."""

    title = pgettext_lazy("schedules", "standing")
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, StrOrPromise]]:
        """What can be asked for."""
        return [("error", _("cannot be sent")), ("over", _("never again"))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[PeriodicTask]
    ) -> QuerySet[PeriodicTask]:
        """Those that stand so."""
        match self.value():
            case "error":
                return queryset.exclude(error="")
            case "over":
                return queryset.filter(planned=True, next_run_at=None)
        return queryset


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(ScheduleColumns):
    """The schedules."""

    form = ScheduleForm
    change_list_template = "admin/djtasks/schedules.html"
    change_form_template = "admin/djtasks/schedule.html"
    actions = ("run_selected", "enable_selected", "disable_selected")
    list_display = ("shown_name", "words", "next_run", "last_run", "runs", "enabled")
    list_filter = ("enabled", "source", Standing, "task")
    search_fields = ("name", "task", "description")
    ordering = ("name",)
    list_per_page = 50
    show_full_result_count = False

    # --- who may do what -----------------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest) -> bool:
        """As Django has it."""
        return self.may(request, "add_periodictask")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As Django has it, of schedules that were made here."""
        is_ours = obj is None or obj.source == Source.ADMIN
        return is_ours and self.may(request, "change_periodictask")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As Django has it, but not what the settings would bring back."""
        is_kept = obj is not None and obj.source == Source.SETTINGS
        return not is_kept and self.may(request, "delete_periodictask")

    def has_run_permission(self, request: HttpRequest) -> bool:
        """Whether the user may run schedules now."""
        return self.may(request, "run_periodictask")

    def has_pause_permission(self, request: HttpRequest) -> bool:
        """Whether the user may enable and disable schedules, those of the settings too."""
        return self.may(request, "pause_periodictask")

    # --- the pages -----------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """The address that what is done to schedules is sent to, before those of the admin."""
        act = path("act/", self.committing(self.act), name="djtasks_periodictask_action")
        return [act, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, in the admin's own way."""
        more = {
            "tabs": list(self._tabs(request)),
            "title": _("Schedules"),
            **(extra_context or {}),
        }
        return super().changelist_view(request, more)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Links to tasks only for those who may see them."""
        run = "last_run" if self.list_url(request, TaskRecord) else "last_time"
        return [run if name == "last_run" else name for name in self.list_display]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The form, or what there is to see of those that cannot be changed here."""
        row = self.get_object(request, object_id)
        more = {
            "may_run": row is not None and self.has_run_permission(request),
            "may_pause": row is not None and self.has_pause_permission(request),
            "action_url": self.url("periodictask_action"),
            "back": request.get_full_path(),
            **(extra_context or {}),
        }
        # Past the other pages' way, which is to lead back to the list.
        return super(BrowserAdmin, self).change_view(request, object_id, form_url, more)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The form, with the way to the other pages."""
        context["tabs"] = list(self._tabs(request))
        return super().render_change_form(request, context, *args, **kwargs)

    def get_fieldsets(
        self, request: HttpRequest, obj: PeriodicTask | None = None
    ) -> list[tuple[Any, Any]]:
        """The fields of the form, or what there is to see."""
        can_change = (
            self.has_change_permission(request, obj)
            if obj is not None
            else self.has_add_permission(request)
        )
        now: list[tuple[Any, Any]] = []
        if obj is not None:
            run = "last_run" if self.list_url(request, TaskRecord) else "last_time"
            shown = ["words", "upcoming", run, "total_run_count", "source"]
            now = [(_("Now"), {"fields": ["shown_error", *shown] if obj.error else shown})]
        if not can_change:
            fields = [
                *("name", "task", "description", "enabled", "shown_args", "shown_kwargs"),
                *("queue", "priority", "expires", "shown_others", "one_off"),
                *("start_time", "end_time"),
            ]
            return [*now, (None, {"fields": fields})]
        others = ["shown_others"] if obj is not None and (obj.headers or obj.options) else []
        return [
            *now,
            (None, {"fields": ["name", "task", "enabled", "description"]}),
            (_("When"), {"fields": ["kind"], "classes": ["djt-kinds"]}),
            (
                capfirst(KINDS["schedule"]),
                {"fields": [("every", "unit"), "relative"], "classes": ["djt-kind-schedule"]},
            ),
            (
                capfirst(KINDS["crontab"]),
                {"fields": ["cron", "zone"], "classes": ["djt-kind-crontab"]},
            ),
            (capfirst(KINDS["clocked"]), {"fields": ["moment"], "classes": ["djt-kind-clocked"]}),
            (
                capfirst(KINDS["solar"]),
                {"fields": ["event", ("latitude", "longitude")], "classes": ["djt-kind-solar"]},
            ),
            (_("With"), {"fields": ["args", "kwargs"]}),
            (
                _("How"),
                {
                    "fields": [
                        *("queue", "priority", "expires", *others),
                        *("one_off", "start_time", "end_time"),
                    ]
                },
            ),
        ]

    def get_readonly_fields(
        self, request: HttpRequest, obj: PeriodicTask | None = None
    ) -> tuple[str, ...]:
        """What is only shown."""
        return (
            *("words", "upcoming", "last_run", "last_time", "total_run_count", "source"),
            *("shown_error", "shown_args", "shown_kwargs", "shown_others"),
        )

    # --- what may be done ----------------------------------------------------------------------

    @admin.action(description=gettext_lazy("Run now"), permissions=["run"])
    def run_selected(
        self, request: HttpRequest, queryset: QuerySet[PeriodicTask]
    ) -> HttpResponse | None:
        """Ask whether they are to run now."""
        return self._ask(request, list(queryset[:AT_MOST]))

    @admin.action(description=gettext_lazy("Enable"), permissions=["pause"])
    def enable_selected(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Have them sent again, from now on."""
        self._enable(request, queryset, enabled=True)

    @admin.action(description=gettext_lazy("Disable"), permissions=["pause"])
    def disable_selected(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Have them not sent."""
        self._enable(request, queryset, enabled=False)

    @method_decorator(require_POST)
    def act(self, request: HttpRequest) -> HttpResponse:
        """Run, enable or disable the schedules that a form names."""
        try:
            ids = [int(text) for text in request.POST.getlist("schedule")[:AT_MOST]]
        except ValueError as error:
            raise SuspiciousOperation("no such id") from error
        rows = PeriodicTask.objects.filter(pk__in=ids).order_by("name")
        match request.POST.get("action"):
            case "run":
                self.demand(request, "run_periodictask")
                if "confirmed" not in request.POST:
                    return self._ask(request, list(rows))
                self._run(request, rows)
            case "enable" | "disable" as wanted:
                self.demand(request, "pause_periodictask")
                self._enable(request, rows, enabled=wanted == "enable")
            case _other:
                messages.warning(request, _("No action selected."))
        return self.go_back(request)

    def _ask(self, request: HttpRequest, rows: list[PeriodicTask]) -> HttpResponse:
        if not self.has_run_permission(request):
            raise PermissionDenied
        names = ", ".join(one_line(row.name, 60) for row in rows[:10])
        back = request.POST.get("back", "")
        return self.page(
            request,
            "confirm.html",
            {
                "title": ngettext("Run this schedule now?", "Run these schedules now?", len(rows)),
                "parent_url": self.url("periodictask_changelist"),
                "what": names + (" …" if len(rows) > 10 else ""),
                "explanation": _(
                    "The task is called once, at once, whether or not the schedule is enabled. "
                    "Its next runs stay as they are."
                ),
                "counted": False,
                "hidden": [
                    ("action", "run"),
                    ("back", back),
                    *(("schedule", str(row.pk)) for row in rows),
                ],
                "verb": _("Run now"),
                "action_url": self.url("periodictask_action"),
                "cancel_url": self.safe_back(request),
            },
        )

    def _run(self, request: HttpRequest, rows: Iterable[PeriodicTask]) -> None:
        for row in rows:
            name = one_line(row.name, NAME)
            try:
                task_id = run_now(row)
            except CannotSendError as error:
                messages.error(request, f"{name}: {error}")
                continue
            said = _("Ran it now, as task %s.") % task_id
            self.note(request, str(row.pk), name, said)
            url = self.url("taskrecord_change", task_id)
            told = _("Ran %s now.") % name
            if self.list_url(request, TaskRecord):
                messages.success(
                    request, format_html('{} <a href="{}">{}</a>', told, url, _("See the task"))
                )
            else:
                messages.success(request, told)

    def _enable(
        self, request: HttpRequest, queryset: QuerySet[PeriodicTask], *, enabled: bool
    ) -> None:
        rows = list(queryset.exclude(enabled=enabled)[:AT_MOST])
        PeriodicTask.objects.filter(pk__in=[row.pk for row in rows]).update(enabled=enabled)
        said = _("Enabled.") if enabled else _("Disabled.")
        self.note_all(request, [(str(row.pk), one_line(row.name, NAME)) for row in rows], said)
        told = (
            ngettext("Enabled %d schedule.", "Enabled %d schedules.", len(rows))
            if enabled
            else ngettext("Disabled %d schedule.", "Disabled %d schedules.", len(rows))
        )
        messages.add_message(
            request, messages.SUCCESS if rows else messages.WARNING, told % len(rows)
        )
