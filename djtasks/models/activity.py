"""What happened, in numbers that stay few however many tasks there were."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from djtasks.fields import TextualJSONField


class Activity(models.Model):
    """How many tasks of a kind ended in a span of time, counted by the workers that ran them.

    Kept for spans of a minute, of ten minutes and of an hour, so that a page reads few rows
    however many tasks there were.
    """

    pk = models.CompositePrimaryKey("span", "at", "queue", "task")
    span = models.IntegerField(_("span"), help_text=_("In seconds: 60, 600 or 3600."))
    at = models.DateTimeField(_("beginning"))
    queue = models.TextField(_("queue"))
    task = models.TextField(_("task"))
    succeeded = models.BigIntegerField(_("succeeded"), db_default=0)
    failed = models.BigIntegerField(_("failed"), db_default=0)
    retried = models.BigIntegerField(_("retried"), db_default=0)
    longest = models.FloatField(_("longest run time"), db_default=0.0, help_text=_("In seconds."))
    runtimes = TextualJSONField(
        _("run times"),
        default=dict,
        help_text=_("How many ran how long: a count for each class of run times."),
    )

    class Meta:
        verbose_name = _("activity")
        verbose_name_plural = _("activity")

    def __str__(self) -> str:
        return f"{self.task} {self.at} {self.span}"


class Depth(models.Model):
    """How long a queue was at one moment of each span of time."""

    pk = models.CompositePrimaryKey("span", "at", "queue")
    span = models.IntegerField(_("span"), help_text=_("In seconds: 60, 600 or 3600."))
    at = models.DateTimeField(_("beginning"))
    queue = models.TextField(_("queue"))
    ready = models.IntegerField(
        _("ready"), help_text=_("Messages that could run, counted to a limit.")
    )
    latency = models.FloatField(
        _("latency"), help_text=_("Seconds that the oldest of them had waited.")
    )

    class Meta:
        verbose_name = _("queue depth")
        verbose_name_plural = _("queue depths")

    def __str__(self) -> str:
        return f"{self.queue} {self.at} {self.span}"
