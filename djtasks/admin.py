"""The admin: what is queued, what has ended, and who works. Read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin
from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from djtasks.models import Message, MessageState, TaskResult, Worker

if TYPE_CHECKING:
    from django.http import HttpRequest

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


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin[Message]):
    """Tasks that have been enqueued and have not ended."""

    list_display = ("task", "shown_state", "queue", "shown_priority", "payload", "enqueued_at")
    list_filter = ("state",)
    search_fields = ("id", "custom_id", "task")
    ordering = ("-enqueued_at",)

    @admin.display(description=_("state"))
    def shown_state(self, message: Message) -> str:
        """The state, where a ready message that has a worker is running."""
        if message.worker_id is not None:
            return str(_("running"))
        return str(MessageState(message.state).label)

    @admin.display(description=_("priority"))
    def shown_priority(self, message: Message) -> int:
        """The priority as it was given."""
        return message.priority


@admin.register(TaskResult)
class TaskResultAdmin(ReadOnlyAdmin[TaskResult]):
    """Tasks that have ended, or will be tried again."""

    list_display = ("task", "state", "queue", "result", "retries", "runtime", "date_done")
    list_filter = ("state",)
    search_fields = ("id", "custom_id", "task")
    ordering = ("-date_done",)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin[Worker]):
    """Workers that are alive."""

    list_display = ("hostname", "pid", "pool", "concurrency", "queues", "started_at", "heartbeat")
    ordering = ("hostname",)
