"""Tasks whose writes, result and acknowledgement are one transaction: exactly-once effects."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from django.db import InterfaceError, OperationalError, connections, transaction
from psycopg import errors

from djtasks import states
from djtasks.conf import conf
from djtasks.exceptions import Replaced, WorkerLostError
from djtasks.execution import calls, lost
from djtasks.queue.finish import end_here
from djtasks.queue.outcome import Disposal, Outcome

if TYPE_CHECKING:
    from djtasks.execution.executor import Executor
    from djtasks.execution.request import Context
    from djtasks.queue.delivery import Delivery

_UNDONE: Final = (errors.DeadlockDetected, errors.SerializationFailure)
"""What PostgreSQL asks to be tried again."""


def run(
    executor: Executor,
    request: Context,
    delivery: Delivery,
    args: list[Any],
    kwargs: dict[str, Any],
    began: float,
) -> Outcome:
    """Run the task's body and store its end in one transaction on the queue's database.

    Whatever the body raises rolls its writes back and goes on to the caller. A message that was
    given to another worker meanwhile is no longer ours to end: the writes are rolled back, and
    the outcome says that nothing is to be stored.
    """
    place = executor.place
    alias = place.database or conf.DATABASE
    connection = connections[alias]
    session: object = None
    ending = False
    try:
        with transaction.atomic(using=alias, durable=not place.shares_transaction):
            session = connection.connection
            try:
                retval = executor.call(request, args, kwargs)
            except Replaced:
                # What the task has written stays: it did its part.
                outcome = calls.replaced(request)
            else:
                outcome = executor.completed(request, retval, began)
            if request.retry_plan is not None:
                outcome.disposal = Disposal.RETRY
                outcome.again = calls.changes(executor.task, request, request.retry_plan)
            ending = True
            if not end_here(connection, delivery, outcome, place.owner, place.hostname):
                raise _GivenAwayError
    except (InterfaceError, OperationalError) as error:
        # Another transaction was in the way of the end: nothing was written. What the body itself
        # met is the task's own failure.
        in_the_way = ending and isinstance(error.__cause__, _UNDONE)
        # Django has put another session in the place of one that was lost.
        if not in_the_way and session is not None and connection.connection is session:
            raise
        # The database went away: nothing was written, or all of it. The message tells, for it
        # went with the writes; if it is still there, it is to run again.
        if lost.verdict_of_task(executor.task, lost.Cause.CHILD, delivery) is lost.Verdict.FAIL:
            raise
        delay = random.uniform(0.0, 0.5) if in_the_way else 1.0
        return Outcome(
            Disposal.RELEASE,
            states.REJECTED,
            delay=delay,
            lost_deliveries=1,
            retval=error,
            error=error,
        )
    except _GivenAwayError:
        given_away = WorkerLostError(
            "The message was given to another worker while the task ran; its writes were "
            "rolled back."
        )
        return Outcome(Disposal.ENDED, states.REJECTED, retval=given_away, error=given_away)
    outcome.disposal = Disposal.ENDED
    return outcome


class _GivenAwayError(Exception):
    """The message is not this worker's any more."""
