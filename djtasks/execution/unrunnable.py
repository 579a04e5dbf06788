"""The ends of messages that no task can be run for: unknown ones and broken ones."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from djtasks import signals, states
from djtasks.codec import encode_exception
from djtasks.exceptions import InvalidTaskError, NotRegistered
from djtasks.execution import report
from djtasks.execution.einfo import ExceptionInfo
from djtasks.execution.request import Context, uuid_text
from djtasks.queue.outcome import Disposal, Outcome

if TYPE_CHECKING:
    from djtasks.queue.delivery import Delivery

logger = logging.getLogger("djtasks.worker")


def unknown(delivery: Delivery, hostname: str) -> Outcome:
    """The outcome of a message whose task no worker has known for too long."""
    error = NotRegistered(delivery.task)
    request = Context.of_delivery(delivery, hostname)
    report.unknown(request, error)
    signals.task_unknown.emit(None, message=request, exc=error, name=delivery.task, id=request.id)
    return Outcome(
        Disposal.END,
        states.FAILURE,
        result=encode_exception(error),
        exception="NotRegistered",
        retval=error,
        error=error,
    )


def broken(delivery: Delivery, error: BaseException) -> Outcome:
    """The outcome of a message that could not be run because of its row or of our own fault."""
    cause = InvalidTaskError(
        f"The message of task {delivery.task!r} cannot be run: {type(error).__name__}: {error}"
    )
    cause.__cause__ = error
    einfo = ExceptionInfo(cause)
    logger.error("%s\n%s", cause, einfo.traceback)
    signals.task_internal_error.emit(
        None,
        task_id=uuid_text(delivery.id),
        args=[],
        kwargs={},
        request=None,
        exception=cause,
        traceback=einfo.tb,
        einfo=einfo,
    )
    return Outcome(
        Disposal.END,
        states.FAILURE,
        result=encode_exception(cause),
        traceback=einfo.traceback,
        exception="InvalidTaskError",
        retval=cause,
        error=cause,
    )
