"""Keys of unique tasks: who has each, and for how long."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class UniqueMode(models.IntegerChoices):
    """How long a task has its key, apart from a period."""

    NONE = 0, _("for a period only")
    QUEUED = 1, _("while it is queued")
    DONE = 2, _("until it has ended")


class UniqueKey(models.Model):
    """A key that a unique task took when it was enqueued.

    A row alone means nothing: the key is taken as long as ``until`` is to come, or the task's
    message is there (and, if it is unique while queued, has not been claimed). So whatever ends a
    message, by hand too, frees its key in the same commit. Rows that mean nothing any more are
    taken over by the next call, or swept.
    """

    key = models.TextField(
        _("key"), primary_key=True, help_text=_("The name of the task, and what is to be unique.")
    )
    task_id = models.UUIDField(_("task"), help_text=_("The task that took it last."))
    mode = models.SmallIntegerField(_("unique"), choices=UniqueMode.choices)
    until = models.DateTimeField(
        _("until"), null=True, blank=True, help_text=_("The end of its period, if it has one.")
    )
    taken_at = models.DateTimeField(_("taken at"), db_default=Now())

    class Meta:
        db_table = "djtasks_unique"
        verbose_name = _("unique key")
        verbose_name_plural = _("unique keys")

    def __str__(self) -> str:
        return self.key
