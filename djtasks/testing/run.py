"""Running what is queued, in a test: on its own connection, inside its transaction too."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connections

from djtasks import states
from djtasks.conf import conf
from djtasks.execution.executor import Executor
from djtasks.execution.place import Place
from djtasks.execution.request import uuid_text
from djtasks.execution.unrunnable import broken, unknown
from djtasks.queue.admit import ADMIT, Asking
from djtasks.queue.admit import admission as admission_of
from djtasks.queue.claim import CLAIM, FAIR, START, deliveries, taken
from djtasks.queue.enqueue import flush_deferred
from djtasks.queue.finish import end_here
from djtasks.queue.outcome import Disposal
from djtasks.queue.sql import load
from djtasks.registry import registry
from djtasks.worker.admission import Admission
from djtasks.worker.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.backends.base.base import BaseDatabaseWrapper

    from djtasks.queue.delivery import Delivery
    from djtasks.queue.outcome import Outcome

logger = logging.getLogger("djtasks.testing")

PROMOTE = load("promote")
READY_QUEUES = load("ready_queues")

TEST_WORKER = -1
"""The owner of what tests claim: no worker has this id, so none takes it for its own."""

HOSTNAME = "run_tasks@test"


@dataclass(frozen=True)
class Ran:
    """One run of a task: its name and id, the state it ended in, and what came of it."""

    name: str
    task_id: str
    state: str
    result: Any
    error: BaseException | None


def run_tasks(
    *,
    queues: Iterable[str] | None = None,
    scheduled: bool = False,
    propagate: bool = False,
    limit: int = 10_000,
) -> list[Ran]:
    """Run what is queued until nothing is left, in this thread and on this connection.

    What the tasks enqueue is run too, and what waits for the commit of a transaction that a test
    never commits. Messages go through the same statements and the same executor as in a worker,
    each in the order that a worker would claim it in; those of a ``fair_key`` take turns, after
    what is in no line.

    Args:
        queues: only these; by default all.
        scheduled: run messages that are not due as well, retries among them, without waiting.
        propagate: raise the exception of the first task that fails.
        limit: the most runs; more of them mean that a task enqueues itself for ever.

    Returns:
        One entry for each run, in order.

    Raises:
        RuntimeError: there was more to run than ``limit``.
    """
    chosen = None if queues is None else list(queues)
    connection = connections[conf.DATABASE]
    ran: list[Ran] = []
    lines = Lines()
    while True:
        flush_deferred()
        delivery = _claim(connection, chosen, scheduled, lines)
        if delivery is None:
            return ran
        if len(ran) >= limit:
            raise RuntimeError(
                f"run_tasks() stopped after {limit} runs, the last of {ran[-1].name}. Does a "
                f"task enqueue or retry itself without end?"
            )
        delivery, is_admitted = _admitted(connection, delivery)
        if not is_admitted:
            continue
        outcome = _run(delivery, connection)
        _store(connection, delivery, outcome)
        _admit_others(connection, delivery)
        error = outcome.error
        ran.append(
            Ran(
                delivery.task,
                delivery.custom_id or uuid_text(delivery.id),
                outcome.state,
                outcome.retval,
                error,
            )
        )
        if propagate and error is not None and outcome.state in states.PROPAGATE_STATES:
            raise error


def _claim(
    connection: BaseDatabaseWrapper, queues: list[str] | None, scheduled: bool, lines: Lines
) -> Delivery | None:
    with connection.cursor() as cursor:
        if scheduled:
            cursor.execute("UPDATE djtasks_message SET eta = now() WHERE state = 1 AND eta > now()")
        cursor.execute(PROMOTE)
        if queues is None:
            cursor.execute(READY_QUEUES)
            queues = [row[0] for row in cursor.fetchall()]
        while True:
            cursor.execute(
                CLAIM,
                {
                    "worker": TEST_WORKER,
                    "limit": 1,
                    "queues": queues,
                    "ranks": [START[0]] * len(queues),
                    "seqs": [START[1]] * len(queues),
                    "unknown": [],
                    "unknown_timeout": 0,
                },
            )
            met = _deliveries(cursor)
            claimed = taken(met)
            if claimed:
                return claimed[0]
            if not met:
                break
        while True:
            now = time.monotonic()
            cursor.execute(FAIR, lines.arguments(queues, 1, now, TEST_WORKER, ()))
            met = _deliveries(cursor)
            claimed = taken(lines.took(met, now, now, more=False))
            if claimed:
                return claimed[0]
            if not met:
                return None


def _deliveries(cursor: Any) -> list[Delivery]:
    rows = cursor.fetchall()
    return deliveries(
        tuple(getattr(value, "bytes", value) for value in row) for row in rows if row[0]
    )


def _admitted(connection: BaseDatabaseWrapper, delivery: Delivery) -> tuple[Delivery, bool]:
    """A message in its lane, and whether it keeps the order of that. Rates are not waited for."""
    admission = Admission()
    _plain, limited = admission.sort([delivery], TEST_WORKER)
    asking, freed = admission.take()
    if not any(one.lane for one in asking):
        return delivery, True
    asking = [one._replace(gate=None, rate=None) for one in asking]
    # Of a step of a workflow the lane is known only now.
    return limited[delivery.id], delivery.id in _admit(connection, asking, freed)


def _admit_others(connection: BaseDatabaseWrapper, delivery: Delivery) -> None:
    """Let those through that waited for the place of a task that ended."""
    if delivery.lane is not None:
        _admit(connection, [], {delivery.lane: Admission().size_of(delivery.lane, delivery.task)})


def _admit(
    connection: BaseDatabaseWrapper, asking: list[Asking], freed: dict[str, int | None]
) -> set[bytes]:
    with connection.cursor() as cursor:
        cursor.execute(ADMIT, admission_of(TEST_WORKER, asking, freed, patient=False))
        return {id.bytes for id in cursor.fetchone()[0]}


def _run(delivery: Delivery, connection: BaseDatabaseWrapper) -> Outcome:
    task = registry.get(delivery.task)
    if task is None:
        return unknown(delivery, HOSTNAME)
    place = Place(
        hostname=HOSTNAME,
        owner=TEST_WORKER,
        shares_transaction=connection.in_atomic_block,
    )
    try:
        return Executor(task, place)(delivery)
    except Exception as error:
        return broken(delivery, error)


def _store(connection: BaseDatabaseWrapper, delivery: Delivery, outcome: Outcome) -> None:
    if outcome.disposal is Disposal.ENDED:
        return
    end_here(connection, delivery, outcome, TEST_WORKER, HOSTNAME)
