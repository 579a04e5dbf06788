"""What an operation on tasks did, what it passed over, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from uuid import UUID

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class Reason(TextChoices):
    """Why a task, or a worker, was passed over; the label says it to people."""

    UNKNOWN = "unknown", _("nothing is known of it")
    QUEUED = "queued", _("it is queued")
    QUEUED_REVOKE = "queued-revoke", _("it is queued: revoke it first")
    READY = "ready", _("it is ready already")
    PAUSED = "paused", _("its task is paused")
    WAITING = "waiting", _("it waits for other tasks")
    BLOCKED = "blocked", _("a limit does not let it through yet")
    ORDERED = "ordered", _("it keeps the order of its key, in which priorities do not count")
    RUNNING = "running", _("it runs")
    NOT_RUNNING = "not-running", _("it does not run")
    ENDED = "ended", _("it has ended")
    SUCCEEDED = "succeeded", _("it succeeded")
    NO_END = "no-end", _("how it ended is not stored")
    NO_CALL = "no-call", _("what was called is not stored")
    NEVER_RAN = "never-ran", _("it never got what it waited for: retry what failed before it")
    WORKER_GONE = "worker-gone", _("its worker is gone")
    NO_WORKER = "no-worker", _("there is no such worker")
    NOT_UNIQUE = "not-unique", _("another task has its unique key")
    BUSY = "busy", _("it was being changed at that moment: try again")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many an operation did, and how many it passed over for which reason.

    ``skipped`` maps reasons, lazily translated texts in the order of their counts, to counts.
    ``ids`` are those of new tasks, where the operation makes some, ``taken`` those of the tasks
    that it was done to. ``more`` says that counting ended at its limit, so that there are at least
    so many.
    """

    done: int = 0
    skipped: Mapping[StrOrPromise, int] = field(default_factory=dict)
    ids: tuple[UUID, ...] = ()
    more: bool = False
    taken: tuple[UUID, ...] = field(default=(), compare=False, repr=False)

    @classmethod
    def of(
        cls,
        done: int,
        reasons: Iterable[Reason],
        ids: Iterable[UUID] = (),
        *,
        more: bool = False,
    ) -> Self:
        """An outcome from one reason for each that was passed over."""
        counted = Counter(reasons).most_common()
        skipped: dict[StrOrPromise, int] = {reason.label: number for reason, number in counted}
        return cls(done, skipped, tuple(ids), more)

    def __add__(self, other: Outcome) -> Outcome:
        """Both together."""
        skipped = Counter(self.skipped)
        skipped.update(other.skipped)
        return Outcome(
            self.done + other.done,
            dict(skipped.most_common()),
            self.ids + other.ids,
            self.more or other.more,
            self.taken + other.taken,
        )

    @property
    def passed_over(self) -> int:
        """How many were passed over, for whatever reason."""
        return sum(self.skipped.values())
