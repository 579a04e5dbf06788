"""What people decided about tasks, and what workers are asked."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class TaskSetting(models.Model):
    """What holds for all calls of a task until somebody takes it back, whatever its code says."""

    name = models.TextField(
        _("name"), primary_key=True, help_text=_("The registered name of the task.")
    )
    paused_at = models.DateTimeField(
        _("paused at"), null=True, blank=True, help_text=_("Empty while it is run.")
    )
    reason = models.TextField(
        _("reason"), blank=True, db_default="", help_text=_("Why it is paused.")
    )
    time_limit = models.FloatField(
        _("time limit"),
        null=True,
        blank=True,
        help_text=_("Seconds after which it is killed, instead of the limit in its code."),
    )
    soft_time_limit = models.FloatField(
        _("soft time limit"),
        null=True,
        blank=True,
        help_text=_("Seconds after which it is interrupted, instead of the limit in its code."),
    )
    rate_limit = models.TextField(
        _("rate limit"),
        null=True,
        blank=True,
        help_text=_("As in 100/m, instead of the limit in its code; 0: none."),
    )
    changed_at = models.DateTimeField(_("changed at"), db_default=Now())

    class Meta:
        verbose_name = _("setting of a task")
        verbose_name_plural = _("settings of tasks")
        permissions = (("pause_task", "Can pause and resume tasks"),)
        indexes: ClassVar[list[models.Index]] = [
            # Looked at by every claim: mostly empty.
            models.Index(
                fields=["name"],
                name="djtasks_tasksetting_paused",
                condition=models.Q(paused_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Question(models.Model):
    """What one worker is asked, or told to do at once, and its answer.

    Orders that are to hold for as long as a worker lives are in its own row.
    """

    id = models.BigAutoField(_("id"), primary_key=True)
    worker_id = models.IntegerField(_("worker"))
    command = models.TextField(_("command"))
    arguments = models.TextField(_("arguments"), db_default="{}", help_text=_("As JSON."))
    wants_answer = models.BooleanField(_("wants an answer"), db_default=True)
    answer = models.TextField(_("answer"), null=True, blank=True, help_text=_("As JSON."))
    asked_at = models.DateTimeField(_("asked at"), db_default=Now())

    class Meta:
        verbose_name = _("question to a worker")
        verbose_name_plural = _("questions to workers")
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["worker_id", "id"],
                name="djtasks_question_open",
                condition=models.Q(answer__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.command} ({self.worker_id})"
