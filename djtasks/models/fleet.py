"""Who works, and what may be worked on."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from djtasks.fields import TextArrayField


class Worker(models.Model):
    """A running worker. The row is new at every start and renewed by its heartbeat."""

    id = models.AutoField(_("id"), primary_key=True)
    hostname = models.TextField(_("name"), help_text=_("The node name, as in worker@host."))
    pid = models.IntegerField(_("process id"))
    pool = models.TextField(_("pool"))
    concurrency = models.IntegerField(_("concurrency"))
    queues = TextArrayField(
        verbose_name=_("queues"),
        null=True,
        blank=True,
        help_text=_("The queues that it serves. Empty: all."),
    )
    excluded_queues = TextArrayField(
        verbose_name=_("excluded queues"),
        default=list,
        blank=True,
    )
    version = models.TextField(_("version"))
    lease = models.FloatField(
        _("lease"), help_text=_("Seconds without a heartbeat after which it counts as dead.")
    )
    locked = models.BooleanField(
        _("holds a lock"),
        default=False,
        help_text=_("Whether it holds a session lock, which a dead worker cannot."),
    )
    wants_work = models.BooleanField(
        _("wants work"), default=False, help_text=_("Whether it is to be woken by new messages.")
    )
    orders = models.TextField(
        _("orders"),
        blank=True,
        db_default="",
        help_text=_("What it has been told to do: quiet, stop, or nothing."),
    )
    quiet = models.BooleanField(
        _("quiet"), db_default=False, help_text=_("Whether it has ceased to take messages.")
    )
    busy = models.IntegerField(
        _("busy"), db_default=0, help_text=_("How many of its places run a task.")
    )
    running = models.TextField(
        _("runs"),
        blank=True,
        db_default="",
        help_text=_("What has been running for a second or more, as JSON."),
    )
    memory = models.BigIntegerField(
        _("memory"),
        null=True,
        blank=True,
        help_text=_("Bytes that the worker and its children hold."),
    )
    started_at = models.DateTimeField(_("started at"), db_default=Now())
    heartbeat = models.DateTimeField(_("heartbeat"), db_default=Now())

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        permissions = (("control_worker", "Can quiet and stop workers"),)

    def __str__(self) -> str:
        return f"{self.hostname} ({self.pid})"


class Queue(models.Model):
    """A queue that has been seen, and whether workers may take messages from it."""

    name = models.TextField(_("name"), primary_key=True)
    paused_at = models.DateTimeField(
        _("paused at"), null=True, blank=True, help_text=_("Empty while it is served.")
    )
    reason = models.TextField(
        _("reason"), blank=True, db_default="", help_text=_("Why it is paused.")
    )
    seen_at = models.DateTimeField(_("last seen at"), db_default=Now())

    class Meta:
        verbose_name = _("queue")
        verbose_name_plural = _("queues")
        permissions = (
            ("pause_queue", "Can pause and resume queues"),
            ("purge_queue", "Can purge queues"),
        )

    def __str__(self) -> str:
        return self.name
