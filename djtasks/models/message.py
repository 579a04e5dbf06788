"""What is queued: messages, their large arguments, and where the results of workflows meet."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from djtasks.fields import IntegerArrayField, TextArrayField
from djtasks.ids import new_id

FIRST_FOREIGN_ID = UUID("02000000-0000-0000-0000-000000000000")
"""Ids from here on are no UUIDv7 of this century."""


class NextSequence(models.Func):
    """The next value of the sequence that orders messages; a default computed by the database."""

    template = "nextval('djtasks_message_seq')"
    output_field: ClassVar[models.Field[int, int]] = models.BigIntegerField()


class MessageState(models.IntegerChoices):
    """Where a message stands before it ends. A running one is ready and has a worker.

    What is in line is ready too: workers take from the lines of a queue in turn.
    """

    READY = 0, _("ready")
    SCHEDULED = 1, _("scheduled")
    WAITING = 2, _("waiting")
    BLOCKED = 3, _("blocked")
    HELD = 4, _("held")
    """Ready but for its task, which is paused: out of the way of claims."""
    IN_LINE = 5, _("ready")


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
        help_text=_("Ready to run, scheduled for a time, waiting for other tasks, or paused."),
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
    abort = models.TextField(
        _("abort"),
        null=True,
        blank=True,
        help_text=_("What it is asked to end as by itself: ABORTED or REVOKED."),
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

    lane = models.TextField(
        _("lane"),
        null=True,
        blank=True,
        help_text=_("The key that limits how many run at once, and whether in order."),
    )
    gate = models.TextField(
        _("gate"),
        null=True,
        blank=True,
        help_text=_("The lane or the rate that it is, or was last, blocked by."),
    )
    fair = models.TextField(
        _("fair key"),
        null=True,
        blank=True,
        db_collation="C",
        help_text=_("Whose tasks it takes turns with others as: the line that it stands in."),
    )

    class Meta:
        verbose_name = _("queued task")
        verbose_name_plural = _("queued tasks")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            # Rows that somebody writes by hand: without these nobody would find them again.
            models.CheckConstraint(
                name="djtasks_message_findable",
                condition=~models.Q(state=MessageState.BLOCKED, gate__isnull=True)
                & ~models.Q(state=MessageState.IN_LINE, fair__isnull=True),
            ),
        ]
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
            # The lines of a queue, one behind the other.
            models.Index(
                fields=["queue", "fair", "rank", "seq"],
                name="djtasks_message_line",
                condition=models.Q(state=MessageState.IN_LINE),
            ),
            # Whoever is blocked, by what it waits for; and who was let through and not claimed yet.
            models.Index(
                fields=["gate", "state", "rank", "seq"],
                name="djtasks_message_gate",
                condition=models.Q(gate__isnull=False),
            ),
            # Who is next in a lane that keeps its order.
            models.Index(
                fields=["lane", "seq"],
                name="djtasks_message_order",
                condition=models.Q(
                    lane__startswith="order:",
                    state__in=[MessageState.READY, MessageState.HELD, MessageState.IN_LINE],
                ),
            ),
            models.Index(
                fields=["task", "seq"],
                name="djtasks_message_held",
                condition=models.Q(state=MessageState.HELD),
            ),
            models.Index(
                fields=["root_id"],
                name="djtasks_message_root",
                condition=models.Q(root_id__isnull=False),
            ),
            # The ids made here begin with the time, until the year 2109: a list of the latest
            # reads the primary key. Those that a caller made itself are found by this.
            models.Index(
                fields=["enqueued_at"],
                name="djtasks_message_foreign",
                condition=models.Q(id__gte=FIRST_FOREIGN_ID),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task}[{self.custom_id or self.id}]"

    @property
    def priority(self) -> int:
        """The priority that the caller gave: larger runs first."""
        return -self.rank


class Place(models.Model):
    """A place in a lane that a message has, or had: it counts while the message is there."""

    pk = models.CompositePrimaryKey("lane", "message_id")
    lane = models.TextField(_("lane"))
    message_id = models.UUIDField(_("message"))

    class Meta:
        verbose_name = _("place in a lane")
        verbose_name_plural = _("places in lanes")

    def __str__(self) -> str:
        return f"{self.lane} {self.message_id}"


class Rate(models.Model):
    """How far a rate is used up, over all workers: the row that lets its messages through."""

    name = models.TextField(_("gate"), primary_key=True)
    interval = models.FloatField(_("interval"), help_text=_("Seconds from one start to the next."))
    burst = models.FloatField(_("burst"), help_text=_("How many may start at one moment."))
    used_until = models.DateTimeField(
        _("used until"), help_text=_("The moment to which what was started uses the rate up.")
    )
    opens_at = models.DateTimeField(
        _("opens at"),
        null=True,
        blank=True,
        help_text=_("When the next blocked message may start; empty if there is none."),
    )

    class Meta:
        verbose_name = _("rate")
        verbose_name_plural = _("rates")
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["opens_at"],
                name="djtasks_rate_opens",
                condition=models.Q(opens_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name


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
    """Results that a join has and keeps until it has all: those that one turn brought."""

    pk = models.CompositePrimaryKey("join_id", "position")
    join_id = models.UUIDField(_("join"))
    position = models.IntegerField(_("position"), help_text=_("The lowest of the positions."))
    positions = IntegerArrayField(verbose_name=_("positions"))
    results = TextArrayField(verbose_name=_("results"), help_text=_("As JSON, in the same order."))

    class Meta:
        verbose_name = _("input of a join")
        verbose_name_plural = _("inputs of joins")

    def __str__(self) -> str:
        return f"{self.join_id} {self.position}"
