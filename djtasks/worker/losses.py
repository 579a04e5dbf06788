"""What is written about a message whose child is gone."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

from djtasks.codec import encode_exception
from djtasks.exceptions import TaskRevokedError, TimeLimitExceeded, WorkerLostError
from djtasks.execution.lost import EARLY, Acknowledgement, Cause, Verdict, verdict
from djtasks.queue.attempts import lost_members
from djtasks.queue.feeding import failure
from djtasks.queue.outcome import Disposal
from djtasks.registry import registry
from djtasks.states import FAILURE, REVOKED

if TYPE_CHECKING:
    from djtasks.queue.finish import Batch
    from djtasks.worker.member import Assignment


def settle(
    assignment: Assignment,
    cause: Cause,
    why: tuple[str, Any],
    seconds: float | None,
    batch: Batch,
) -> Assignment | None:
    """Give a lost message back to its queue, or return it for a child to record its end.

    ``seconds``: for how long it had run.
    """
    delivery = assignment.delivery
    decided = verdict(acknowledgement(delivery.task), cause, delivery.deliveries, delivery.retries)
    if decided is not Verdict.REDELIVER:
        return assignment._replace(lost=(decided.value, *why))
    members = '"deliveries":0,"delay":0'
    if cause is not Cause.STOPPED:
        told = lost_members(_error(*why)[1], seconds)
        members = f'"deliveries":1,"delay":0,{told}'
    batch.add(Disposal.RELEASE, delivery, assignment.owner, members)
    return None


def fail(assignment: Assignment, batch: Batch) -> str:
    """Record the end of a lost message without running any handler of the task.

    Returns the state in which it ends.
    """
    _verdict, kind, detail = assignment.lost or ("", "lost", "")
    state, error = _error(kind, detail)
    name = type(error).__name__
    text = f"{name}: {error}"
    delivery = assignment.delivery
    batch.add(
        Disposal.END,
        delivery,
        assignment.owner,
        f'"runtime":null,"state":"{state}","result":{encode_exception(error)},'
        f'"traceback":{json.dumps(text)},"exception":"{name}"',
        fed=None if delivery.feeds is None else failure(state, error, text),
    )
    return state


def _error(kind: str, detail: Any) -> tuple[str, Exception]:
    """The state in which something ends that was lost in a way, and the exception for it."""
    match kind:
        case "limit":
            return FAILURE, TimeLimitExceeded(detail)
        case "terminated":
            return REVOKED, TaskRevokedError(kind)
        case _:
            return FAILURE, WorkerLostError(detail)


def acknowledgement(task_name: str) -> Acknowledgement:
    """How a task is acknowledged; one that this worker does not know is never run twice."""
    task = registry.get(task_name)
    return EARLY if task is None else Acknowledgement.of(task)


def describe_status(status: int) -> str:
    """An exit status as Celery words it: ``signal 9 (SIGKILL)`` or ``exitcode 1``."""
    if status >= 0:
        return f"exitcode {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
    return f"signal {-status} ({name})"
