"""The tables: queued messages, finished results, live workers.

The hot statements on them live in :mod:`djtasks.queue`; everything that is not hot uses these
models through the ORM.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from djtasks.fields import TextArrayField
from djtasks.ids import new_id


class NextSequence(models.Func):
    """The next value of the sequence that orders messages; a default computed by the database."""

    template = "nextval('djtasks_message_seq')"
    output_field: ClassVar[models.Field[int, int]] = models.BigIntegerField()


class MessageState(models.IntegerChoices):
    """Where a message stands before it ends. A running one is ready and has a worker."""

    READY = 0, _("ready")
    SCHEDULED = 1, _("scheduled")
    WAITING = 2, _("waiting")


class Message(models.Model):
    """A task that has been enqueued and has not ended: the row that workers claim.

    Claims change ``worker_id`` and ``started_at`` only, which are in no index, so that every
    claim is a heap-only update. The row is deleted by the statement that stores its result.
    """

    id = models.UUIDField(_("id"), primary_key=True, default=new_id, editable=False)
    custom_id = models.TextField(
        _("custom id"),
        null=True,
        blank=True,
        help_text=_("The caller's own task id, where it is not a UUID."),
    )
    task = models.TextField(_("task"), help_text=_("The registered name of the task."))
    state = models.SmallIntegerField(
        _("state"),
        choices=MessageState.choices,
        db_default=MessageState.READY,
        help_text=_("Ready to run, scheduled for a time, or waiting for other tasks."),
    )
    queue = models.TextField(_("queue"))
    rank = models.IntegerField(
        _("rank"),
        db_default=0,
        help_text=_("The negated priority: smaller ranks run first."),
    )
    seq = models.BigIntegerField(
        _("sequence"),
        db_default=NextSequence(),
        editable=False,
        help_text=_("The order in which messages became ready."),
    )
    payload = models.TextField(
        _("payload"),
        null=True,
        help_text=_("Arguments as JSON: [args, kwargs]; empty if stored apart."),
    )
    payload_id = models.UUIDField(
        _("large payload"),
        null=True,
        blank=True,
        help_text=_("The row that holds large arguments."),
    )
    options = models.TextField(
        _("options"),
        null=True,
        blank=True,
        help_text=_("Rare options of the call, as JSON: headers, links, limits."),
    )
    worker_id = models.IntegerField(
        _("worker"), null=True, blank=True, help_text=_("The worker that claimed it.")
    )
    enqueued_at = models.DateTimeField(_("enqueued at"), db_default=Now())
    started_at = models.DateTimeField(_("claimed at"), null=True, blank=True)
    eta = models.DateTimeField(
        _("not before"), null=True, blank=True, help_text=_("It does not run before this time.")
    )
    expires = models.DateTimeField(
        _("expires"), null=True, blank=True, help_text=_("It is revoked after this time.")
    )
    retries = models.IntegerField(_("retries"), db_default=0)
    deliveries = models.IntegerField(
        _("lost deliveries"),
        db_default=0,
        help_text=_("How many times it was given to a worker that died."),
    )
    unknown_since = models.DateTimeField(
        _("unknown since"),
        null=True,
        blank=True,
        help_text=_("When a worker first met it without knowing its task."),
    )
    root_id = models.UUIDField(_("root task"), null=True, blank=True)
    parent_id = models.UUIDField(_("parent task"), null=True, blank=True)
    after = models.UUIDField(
        _("after"),
        null=True,
        blank=True,
        help_text=_("The join whose results it waits for, or waited for."),
    )
    feeds = models.UUIDField(
        _("feeds"), null=True, blank=True, help_text=_("The join that its end is counted for.")
    )
    position = models.IntegerField(
        _("position"),
        null=True,
        blank=True,
        help_text=_("Its place among the results of its join; empty if alone."),
    )
    immutable = models.BooleanField(
        _("immutable"),
        null=True,
        help_text=_("Whether what it waits for is kept out of its arguments."),
    )
    countdown = models.FloatField(
        _("countdown"),
        null=True,
        blank=True,
        help_text=_("Seconds from the end of what it waits for until it is due."),
    )
    lifetime = models.FloatField(
        _("lifetime"),
        null=True,
        blank=True,
        help_text=_("Seconds from the end of what it waits for until it expires."),
    )

    class Meta:
        verbose_name = _("queued task")
        verbose_name_plural = _("queued tasks")
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["queue", "rank", "seq"],
                name="djtasks_message_ready",
                condition=models.Q(state=MessageState.READY),
            ),
            models.Index(
                fields=["eta"],
                name="djtasks_message_due",
                condition=models.Q(state=MessageState.SCHEDULED),
            ),
            models.Index(
                fields=["after"],
                name="djtasks_message_after",
                condition=models.Q(state=MessageState.WAITING),
            ),
            models.Index(
                fields=["root_id"],
                name="djtasks_message_root",
                condition=models.Q(root_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task}[{self.custom_id or self.id}]"

    @property
    def priority(self) -> int:
        """The priority that the caller gave: larger runs first."""
        return -self.rank


class Payload(models.Model):
    """Arguments too large to travel with a message: written once, then only pointed at."""

    id = models.UUIDField(_("id"), primary_key=True, default=new_id, editable=False)
    body = models.TextField(_("body"), help_text=_("The arguments as JSON: [args, kwargs]."))

    class Meta:
        verbose_name = _("large payload")
        verbose_name_plural = _("large payloads")

    def __str__(self) -> str:
        return str(self.id)


class Join(models.Model):
    """Where results come together: the messages after it wait until it has all of them.

    The last result takes the row away. A join of one result, a step of a chain, needs no row.
    """

    id = models.UUIDField(_("id"), primary_key=True, default=new_id, editable=False)
    root_id = models.UUIDField(_("root task"), null=True, blank=True)
    size = models.IntegerField(_("size"), help_text=_("How many results it gathers."))
    missing = models.IntegerField(_("missing"), help_text=_("How many of them it does not have."))
    is_group = models.BooleanField(
        _("before a group"),
        db_default=False,
        help_text=_("Whether a group waits for it, which gets the original error."),
    )

    after = models.UUIDField(
        _("after"),
        null=True,
        blank=True,
        help_text=_("The join that everything which feeds it waits for."),
    )

    class Meta:
        verbose_name = _("join")
        verbose_name_plural = _("joins")

    def __str__(self) -> str:
        return str(self.id)


class Input(models.Model):
    """A result that a join has and keeps until it has all."""

    pk = models.CompositePrimaryKey("join_id", "position")
    join_id = models.UUIDField(_("join"))
    position = models.IntegerField(_("position"))
    result = models.TextField(_("result"), help_text=_("As JSON."))

    class Meta:
        verbose_name = _("input of a join")
        verbose_name_plural = _("inputs of joins")

    def __str__(self) -> str:
        return f"{self.join_id} {self.position}"


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
        ]

    def __str__(self) -> str:
        return f"{self.task}[{self.custom_id or self.id}] {self.state}"

    @property
    def priority(self) -> int:
        """The priority that the caller gave: larger runs first."""
        return -self.rank


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
    started_at = models.DateTimeField(_("started at"), db_default=Now())
    heartbeat = models.DateTimeField(_("heartbeat"), db_default=Now())

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return f"{self.hostname} ({self.pid})"


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
