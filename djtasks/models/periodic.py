"""What is to run again and again: the schedules that any worker sends from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.db.models.base import ModelBase

WRITTEN_BY_BEAT = frozenset(
    {
        "since",
        "changed_at",
        "planned",
        "next_run_at",
        "last_run_at",
        "last_task_id",
        "total_run_count",
        "error",
    }
)
"""Columns that only whoever sends writes, and the table's trigger."""


class Source(models.TextChoices):
    """Where a schedule comes from."""

    ADMIN = "admin", _("admin")
    SETTINGS = "settings", _("settings")
    REMOVED = "removed", _("no longer in the settings")


class PeriodicTask(models.Model):
    """A task that is sent whenever its schedule ticks.

    Rows may be made and changed in any way, by hand in SQL too. A trigger of the table notices what
    matters: it has the row planned anew, clears its error and wakes whoever sends. :meth:`save`
    leaves alone what they write, so that it undoes no run.
    """

    name = models.TextField(_("name"), unique=True)
    task = models.TextField(_("task"), help_text=_("The registered name of the task."))
    schedule = models.JSONField(
        _("schedule"), help_text=_("As JSON, in the form of djtasks.schedules.")
    )
    args = models.JSONField(_("positional arguments"), default=list, blank=True)
    kwargs = models.JSONField(_("keyword arguments"), default=dict, blank=True)
    queue = models.TextField(
        _("queue"), blank=True, default="", help_text=_("Empty: that of the task.")
    )
    priority = models.IntegerField(
        _("priority"),
        null=True,
        blank=True,
        help_text=_("Larger runs first. Empty: that of the task."),
    )
    expires = models.FloatField(
        _("expires after"),
        null=True,
        blank=True,
        help_text=_("Seconds: what has not begun by then is dropped. Empty: never."),
    )
    headers = models.JSONField(_("headers"), default=dict, blank=True)
    options = models.JSONField(
        _("other options"), default=dict, blank=True, help_text=_("Other options of the call.")
    )
    one_off = models.BooleanField(
        _("one-off"), default=False, help_text=_("Whether it runs once, at its next time.")
    )
    start_time = models.DateTimeField(
        _("start"),
        null=True,
        blank=True,
        help_text=_("It does not run before. Intervals are counted from it."),
    )
    end_time = models.DateTimeField(
        _("end"), null=True, blank=True, help_text=_("It does not run after.")
    )
    enabled = models.BooleanField(_("enabled"), default=True, db_default=True)
    description = models.TextField(_("description"), blank=True, default="")
    source = models.TextField(
        _("source"), choices=Source.choices, default=Source.ADMIN, editable=False
    )

    since = models.DateTimeField(
        _("counts since"),
        db_default=Now(),
        editable=False,
        help_text=_("When it was last changed or enabled: intervals count from it."),
    )
    changed_at = models.DateTimeField(_("changed at"), db_default=Now(), editable=False)
    planned = models.BooleanField(
        _("planned"),
        default=False,
        db_default=False,
        editable=False,
        help_text=_("Whether the next run is known."),
    )
    next_run_at = models.DateTimeField(
        _("next run"),
        null=True,
        blank=True,
        db_default=Now(),
        editable=False,
        help_text=_("When somebody has to look at it; empty if it never runs again."),
    )
    last_run_at = models.DateTimeField(_("last run"), null=True, blank=True, editable=False)
    last_task_id = models.UUIDField(_("last task"), null=True, blank=True, editable=False)
    total_run_count = models.BigIntegerField(
        _("number of runs"),
        default=0,
        db_default=0,
        editable=False,
        help_text=_("How often it was sent."),
    )
    error = models.TextField(
        _("error"),
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text=_("Why it could not be sent. Empty once it is mended."),
    )

    class Meta:
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        permissions = (
            ("run_periodictask", "Can run schedules now"),
            ("pause_periodictask", "Can enable and disable schedules"),
        )
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["next_run_at"],
                name="djtasks_periodictask_due",
                condition=models.Q(enabled=True) & ~models.Q(source="removed"),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(
        self,
        force_insert: bool | tuple[ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Write the row, of one that exists only what people decide."""
        if update_fields is None and not self._state.adding and not force_insert:
            update_fields = [
                field.name
                for field in self._meta.concrete_fields
                if not field.primary_key and field.name not in WRITTEN_BY_BEAT
            ]
        super().save(
            force_insert=force_insert,
            force_update=force_update,
            using=using,
            update_fields=update_fields,
        )

    @property
    def is_finished(self) -> bool:
        """Whether it never runs again, unless it is changed."""
        return self.planned and self.next_run_at is None

    def call_options(self) -> dict[str, Any]:
        """The options of its calls as its columns and ``options`` have them, in stored form."""
        given: dict[str, Any] = dict(self.options or {})
        for name in ("priority", "expires"):
            value = getattr(self, name)
            if value is not None:
                given[name] = value
        if self.queue:
            given["queue"] = self.queue
        return given
