"""The admin: what is queued, what has ended, and who works. Read-only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin
from django.db.models import Model
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from djtasks import states
from djtasks.models import Message, MessageState, TaskResult, Worker

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

ARGUMENTS_SHOWN = 2000
"""Characters of a call's arguments that are shown at most."""

M = TypeVar("M", bound=Model)

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin as _ModelAdmin
else:

    class _ModelAdmin(admin.ModelAdmin):
        """Lets the class be written with its model, as type checkers want it."""

        def __class_getitem__(cls, item: Any) -> type:
            return cls


class ReadOnlyAdmin(_ModelAdmin[M]):
    """Shows rows that workers write and people only read."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds such a row by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes such a row by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes such a row by hand."""
        return False


class ArgumentsAdmin(ReadOnlyAdmin[M]):
    """Shows the arguments of a call as the caller wants them shown."""

    @admin.display(description=_("arguments"))
    def arguments(self, row: Any) -> str:
        """What ``argsrepr`` and ``kwargsrepr`` say, or else the arguments themselves."""
        try:
            options = json.loads(row.options or "{}")
            shown = [options.get("argsrepr"), options.get("kwargsrepr")]
        except (ValueError, AttributeError):
            shown = [None, None]
        if shown != [None, None]:
            return Truncator(" ".join(text for text in shown if text)).chars(ARGUMENTS_SHOWN)
        return Truncator(row.payload or str(_("(stored apart)"))).chars(ARGUMENTS_SHOWN)

    @admin.display(description=_("priority"))
    def shown_priority(self, row: Any) -> int:
        """The priority as it was given: larger runs first."""
        return int(row.priority)


class StateFilter(admin.SimpleListFilter):
    """The states that there are, without looking for those that occur."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Every state that is stored by a worker."""
        return [(state, state) for state in sorted({*states.READY_STATES, states.RETRY})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The results in the chosen state."""
        return queryset.filter(state=self.value()) if self.value() else queryset


@admin.register(Message)
class MessageAdmin(ArgumentsAdmin[Message]):
    """Tasks that have been enqueued and have not ended."""

    list_display = ("task", "shown_state", "queue", "shown_priority", "arguments", "enqueued_at")
    fields = (
        ("task", "shown_state"),
        ("queue", "shown_priority"),
        "arguments",
        ("enqueued_at", "eta", "expires"),
        ("started_at", "worker_id"),
        ("retries", "deliveries", "unknown_since"),
        "options",
        ("root_id", "parent_id"),
        ("id", "custom_id"),
    )
    readonly_fields = ("arguments", "shown_state", "shown_priority", "id")
    list_filter = ("state",)
    search_fields = ("id", "custom_id", "task")
    ordering = ("-enqueued_at",)

    @admin.display(description=_("state"))
    def shown_state(self, message: Message) -> str:
        """The state, where a ready message that has a worker is running."""
        if message.worker_id is not None:
            return str(_("running"))
        return str(MessageState(message.state).label)


@admin.register(TaskResult)
class TaskResultAdmin(ArgumentsAdmin[TaskResult]):
    """Tasks that have ended, or will be tried again."""

    list_display = ("task", "state", "queue", "outcome", "retries", "took", "ended")
    list_filter = (StateFilter,)
    search_fields = ("id", "custom_id", "task")
    ordering = ("-date_done",)
    fields = (
        ("task", "state"),
        ("queue", "shown_priority"),
        "arguments",
        "result",
        "exception",
        "folded_traceback",
        ("enqueued_at", "started_at", "ended", "took"),
        ("worker", "retries", "deliveries"),
        "options",
        "children",
        ("root_id", "parent_id"),
        ("id", "custom_id"),
    )
    readonly_fields = (
        "arguments",
        "shown_priority",
        "folded_traceback",
        "ended",
        "took",
        "id",
    )

    @admin.display(description=_("traceback"))
    def folded_traceback(self, result: TaskResult) -> str:
        """The traceback with its lines and indentation."""
        return format_html("<pre>{}</pre>", result.traceback) if result.traceback else "-"

    @admin.display(description=_("result"))
    def outcome(self, result: TaskResult) -> str:
        """The result, or the exception with its message, as far as it fits into a line."""
        text = result.result or ""
        if result.exception:
            lines = (result.traceback or "").strip().splitlines()
            text = lines[-1].rpartition(f"{result.exception}: ")[2] if lines else ""
            if not text.startswith(result.exception):
                text = f"{result.exception}: {text}" if text else result.exception
        return Truncator(text).chars(60)

    @admin.display(description=_("run time"), ordering="runtime")
    def took(self, result: TaskResult) -> str:
        """The run time, with a unit that fits."""
        if result.runtime is None:
            return "-"
        if result.runtime < 1:
            return f"{1000 * result.runtime:.1f} ms"
        return f"{result.runtime:.1f} s"

    @admin.display(description=_("ended at"), ordering="date_done")
    def ended(self, result: TaskResult) -> str:
        """When it ended, to the second."""
        return date_format(localtime(result.date_done), "Y-m-d H:i:s") if result.date_done else "-"


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin[Worker]):
    """Workers that are alive."""

    list_display = ("hostname", "pid", "pool", "concurrency", "queues", "started_at", "heartbeat")
    ordering = ("hostname",)
