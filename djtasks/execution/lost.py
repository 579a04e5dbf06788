"""What happens to a message whose worker, child or time is gone: one pure decision."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from djtasks.queue.delivery import Delivery
    from djtasks.task import Task


class Cause(Enum):
    """How a run ended without an outcome."""

    CHILD = "child"
    """The child that ran it died, or the task called ``sys.exit()``."""
    WORKER = "worker"
    """The whole worker or its machine is gone, so that nobody knows how far it came."""
    TIME_LIMIT = "time limit"
    """It was killed for running longer than its hard limit."""
    STOPPED = "stopped"
    """The worker was told to stop at once."""


class Verdict(Enum):
    """What is done with the message."""

    REDELIVER = "redeliver"
    """It goes back and counts as one lost delivery."""
    RETRY = "retry"
    """It is tried again as ``Task.retry`` does it, with ``default_retry_delay``."""
    FAIL = "fail"
    """It ends as FAILURE."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The options of a task that decide; deliveries and retries are counts."""

    acks_late: bool = False
    acks_on_timeout: bool = True
    reject_on_worker_lost: bool = False
    retry_on_worker_lost: bool = False
    atomic: bool = False
    max_deliveries: int = 5
    max_retries: int | None = 3

    @classmethod
    def of(cls, task: Task[..., Any]) -> Acknowledgement:
        """The options of a task, with the defaults that the settings give."""
        option = task.option
        return cls(
            acks_late=bool(option("acks_late")),
            acks_on_timeout=bool(option("acks_on_timeout")),
            reject_on_worker_lost=bool(option("reject_on_worker_lost")),
            retry_on_worker_lost=bool(option("retry_on_worker_lost")),
            atomic=bool(option("atomic")),
            max_deliveries=int(option("max_deliveries")),
            max_retries=option("max_retries"),
        )


EARLY = Acknowledgement()
"""What holds for a task that this worker does not know: it is never run twice."""


def verdict(options: Acknowledgement, cause: Cause, deliveries: int, retries: int) -> Verdict:
    """Decide on a message that had begun, or may have.

    ``deliveries`` counts the earlier ones that were lost; this one is added. After
    ``max_deliveries`` of them a message fails, so that none kills workers for ever.
    """
    again = Verdict.REDELIVER if deliveries + 1 < options.max_deliveries else Verdict.FAIL
    match cause:
        case Cause.TIME_LIMIT:
            late = options.acks_late and not options.acks_on_timeout
            return again if late else Verdict.FAIL
        case Cause.STOPPED:
            # Nobody's fault: it is not counted against the task.
            back = options.atomic or options.acks_late
            return Verdict.REDELIVER if back else Verdict.FAIL
        case Cause.WORKER:
            if options.atomic or options.acks_late:
                return again
            return _retry(options, retries) if options.retry_on_worker_lost else Verdict.FAIL
        case Cause.CHILD:
            if options.atomic:
                return again
            if options.retry_on_worker_lost:
                return _retry(options, retries)
            if options.reject_on_worker_lost and options.acks_late:
                return again
            return Verdict.FAIL


def _retry(options: Acknowledgement, retries: int) -> Verdict:
    allowed = options.max_retries is None or retries < options.max_retries
    return Verdict.RETRY if allowed else Verdict.FAIL


def verdict_of_task(task: Task[..., Any], cause: Cause, delivery: Delivery) -> Verdict:
    """Decide on one delivery of a task."""
    return verdict(Acknowledgement.of(task), cause, delivery.deliveries, delivery.retries)
