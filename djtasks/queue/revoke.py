"""Ending messages that have not begun, and what waits for them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connections, transaction

from djtasks import signals, states
from djtasks.codec import decode_call, encode_exception
from djtasks.conf import conf
from djtasks.exceptions import TaskRevokedError
from djtasks.execution.request import HOSTNAME, Context
from djtasks.queue.claim import deliveries, taking
from djtasks.queue.enqueue import wake_workers
from djtasks.queue.feeding import LOCK_JOINS
from djtasks.queue.finish import TELL_WAITERS, Batch, write_here
from djtasks.queue.outcome import Disposal, Outcome
from djtasks.queue.sql import load
from djtasks.registry import registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

    from djtasks.queue.delivery import Delivery

logger = logging.getLogger("djtasks.control")

LOCK_WORKFLOWS = load("lock_workflows")
REVOKE = taking("revoke")
PLACES = load("places")

LOCK_CLASS = 0x646A7478
"""Of locks on workflows: their first number; the second is a hash of the id of the root."""

REVOKER = -2
"""The owner of what is being revoked: no worker has this id."""


def revoke(ids: Sequence[UUID], *, reason: str = "revoked", using: str | None = None) -> int:
    """End those of these messages that no worker has begun as REVOKED; returns how many.

    What waits for them in a workflow ends with them, in the same transaction. A task that runs
    goes on, as in Celery, and one that has ended stays as it is.
    """
    return len(end_unbegun(ids, reason=reason, using=using)[0])


def end_unbegun(
    ids: Sequence[UUID], *, reason: str, using: str | None = None
) -> tuple[set[UUID], set[UUID]]:
    """:func:`revoke`; returns the ids of what it ended, and of what ended by waiting for that."""
    alias = using or conf.DATABASE
    connection = connections[alias]
    error = TaskRevokedError(reason)
    with transaction.atomic(using=alias):
        with connection.cursor() as cursor:
            # Joins before messages, as in a worker's turn, and no message that is locked: so
            # nobody waits for this transaction in a circle.
            cursor.execute(LOCK_WORKFLOWS, {"lock_class": LOCK_CLASS, "ids": list(ids)})
            cursor.execute(PLACES, {"ids": list(ids)})
            counted, failing = cursor.fetchone()
            cursor.execute(LOCK_JOINS, {"counted": counted, "failing": failing})
            cursor.execute(REVOKE, {"worker": REVOKER, "ids": list(ids)})
            rows = [tuple(getattr(v, "bytes", v) for v in row) for row in cursor.fetchall()]
        batch = Batch()
        for delivery in deliveries(rows):
            outcome = Outcome(
                Disposal.END,
                states.REVOKED,
                result=encode_exception(error),
                exception="TaskRevokedError",
                error=error,
            )
            batch.add_outcome(delivery, REVOKER, outcome)
        _, queues, doomed = write_here(connection, batch, "")
        if signals.task_revoked.receivers:
            taken = deliveries(rows)
            transaction.on_commit(lambda: _send_revoked(taken), using=alias)
        ended = [*batch.ended_ids(), *doomed]
        transaction.on_commit(lambda: _tell(connection, ended, queues), using=alias)
    return {UUID(id) for id in batch.ended_ids()}, {UUID(id) for id in doomed}


def _send_revoked(revoked: Sequence[Delivery]) -> None:
    """Tell receivers in this process, for no worker ever sees these tasks."""
    for delivery in revoked:
        request = Context.of_delivery(delivery, HOSTNAME)
        try:
            request.args, request.kwargs = decode_call(delivery.payload or "[[],{}]")
        except Exception as error:
            # An instance that is gone, a type that is unknown here: it is revoked all the same.
            logger.info("The arguments of %s cannot be read here: %s", request.id, error)
            request.args, request.kwargs = [], {}
        signals.task_revoked.emit(
            registry.get(delivery.task),
            request=request,
            terminated=False,
            signum=None,
            expired=False,
        )


def _tell(connection: BaseDatabaseWrapper, ended: list[str], queues: list[str]) -> None:
    if ended:
        with connection.cursor() as cursor:
            cursor.execute(TELL_WAITERS, {"ids": f"{{{','.join(ended)}}}"})
    if queues:
        wake_workers(connection, {"djtasks_wake": set(queues)})
