"""What became of tasks, and who waits to hear it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from djtasks.ids import new_id


class TaskResult(models.Model):
    """What became of a task: written once when it ends, and on RETRY or ``update_state``."""

    id = models.UUIDField(_("id"), primary_key=True, default=new_id, editable=False)
    custom_id = models.TextField(_("custom id"), null=True, blank=True)
    task = models.TextField(_("task"))
    state = models.TextField(_("state"))
    queue = models.TextField(_("queue"))
    rank = models.IntegerField(_("rank"), db_default=0)
    payload = models.TextField(_("payload"), null=True)
    payload_id = models.UUIDField(_("large payload"), null=True, blank=True)
    options = models.TextField(_("options"), null=True, blank=True)
    result = models.TextField(
        _("result"),
        null=True,
        blank=True,
        help_text=_("The return value, the exception or the meta data, as JSON."),
    )
    exception = models.TextField(
        _("exception"), null=True, blank=True, help_text=_("The class of the exception, if any.")
    )
    traceback = models.TextField(_("traceback"), null=True, blank=True)
    worker = models.TextField(_("worker"), null=True, blank=True)
    retries = models.IntegerField(_("retries"), db_default=0)
    deliveries = models.IntegerField(_("lost deliveries"), db_default=0)
    enqueued_at = models.DateTimeField(_("enqueued at"), null=True)
    eta = models.DateTimeField(_("not before"), null=True, blank=True)
    started_at = models.DateTimeField(_("started at"), null=True)
    updated_at = models.DateTimeField(_("updated at"), db_default=Now())
    date_done = models.DateTimeField(_("ended at"), null=True, blank=True)
    runtime = models.FloatField(_("run time"), null=True, blank=True, help_text=_("In seconds."))
    root_id = models.UUIDField(_("root task"), null=True, blank=True)
    parent_id = models.UUIDField(_("parent task"), null=True, blank=True)
    after = models.UUIDField(
        _("after"), null=True, blank=True, help_text=_("The join whose results it was given.")
    )
    feeds = models.UUIDField(
        _("feeds"), null=True, blank=True, help_text=_("The join that its end was counted for.")
    )
    position = models.IntegerField(
        _("position"),
        null=True,
        blank=True,
        help_text=_("Its place among the results of its join; empty if alone."),
    )
    children = models.TextField(
        _("children"), null=True, blank=True, help_text=_("Results of calls made by the task.")
    )

    class Meta:
        verbose_name = _("task result")
        verbose_name_plural = _("task results")
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["date_done"], name="djtasks_taskresult_done"),
            models.Index(
                fields=["root_id"],
                name="djtasks_taskresult_root",
                condition=models.Q(root_id__isnull=False),
            ),
            # What succeeds does not pay for these.
            models.Index(
                fields=["state", "date_done"],
                name="djtasks_taskresult_bad",
                condition=models.Q(state__in=["FAILURE", "REVOKED", "REJECTED"]),
            ),
            models.Index(
                fields=["task", "exception", "date_done"],
                name="djtasks_taskresult_failed",
                condition=models.Q(state="FAILURE"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task}[{self.custom_id or self.id}] {self.state}"

    @property
    def priority(self) -> int:
        """The priority that the caller gave: larger runs first."""
        return -self.rank


class Attempt(models.Model):
    """A run of a task that was not its last: it was tried again, or its worker was lost."""

    id = models.BigAutoField(_("id"), primary_key=True)
    task_id = models.UUIDField(_("task"), db_index=True)
    number = models.IntegerField(_("attempt"), help_text=_("The first is 1."))
    state = models.TextField(_("state"))
    exception = models.TextField(_("exception"), null=True, blank=True)
    message = models.TextField(_("message"), null=True, blank=True)
    worker = models.TextField(_("worker"), null=True, blank=True)
    started_at = models.DateTimeField(_("started at"), null=True)
    ended_at = models.DateTimeField(_("ended at"), db_default=Now())
    runtime = models.FloatField(_("run time"), null=True, blank=True, help_text=_("In seconds."))

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")

    def __str__(self) -> str:
        return f"{self.task_id} {self.number}"


class SavedGroup(models.Model):
    """The results of a group, as ``GroupResult.save()`` keeps them."""

    id = models.UUIDField(_("id"), primary_key=True, editable=False)
    custom_id = models.TextField(_("custom id"), null=True, blank=True)
    results = models.TextField(
        _("results"), help_text=_("What result_from_tuple() makes a group's result from, as JSON.")
    )
    saved_at = models.DateTimeField(_("saved at"), db_default=Now(), db_index=True)

    class Meta:
        verbose_name = _("saved group")
        verbose_name_plural = _("saved groups")

    def __str__(self) -> str:
        return self.custom_id or str(self.id)


class Waiter(models.Model):
    """Somebody who waits for a task's end and wants to be told by a notification."""

    id = models.BigAutoField(_("id"), primary_key=True)
    task_id = models.UUIDField(_("task"), db_index=True)
    listener = models.IntegerField(
        _("listener"), help_text=_("The server process that passes the notification on.")
    )
    since = models.DateTimeField(_("since"), db_default=Now())

    class Meta:
        verbose_name = _("waiter")
        verbose_name_plural = _("waiters")

    def __str__(self) -> str:
        return str(self.task_id)
