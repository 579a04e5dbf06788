"""Ending what waits for messages that somebody has deleted by hand."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

from psycopg import errors

from djtasks import states
from djtasks.exceptions import InvalidTaskError
from djtasks.queue.feeding import LOCK_JOINS, failure
from djtasks.queue.sql import load

if TYPE_CHECKING:
    import psycopg

STUCK_JOINS = load("stuck_joins")
SWEEP_JOINS = load("sweep_joins")

logger = logging.getLogger("djtasks.worker")

PATIENCE: Final = (("lock_timeout", "200ms"), ("statement_timeout", "2s"))

ALONE: Final = "SELECT pg_try_advisory_xact_lock(1684698233, 0)"
"""One worker at a time: all of them would find the same."""

END_STUCK = "SELECT queues, ids::text[] FROM djtasks_fail(%s::json)"


def end_stuck(connection: psycopg.Connection[Any]) -> tuple[list[str], list[str]]:
    """End what can never become ready, in one transaction.

    Returns the queues into which errbacks were put, and the ids of the tasks that ended.
    """
    try:
        with connection.transaction():
            return _end_stuck(connection)
    except (errors.LockNotAvailable, errors.QueryCanceled) as error:
        # Whoever calls this has a lease to renew, and there is another time.
        logger.info("What waits for deleted tasks is looked for later: %s", str(error).strip())
        return [], []


def _end_stuck(connection: psycopg.Connection[Any]) -> tuple[list[str], list[str]]:
    for name, value in PATIENCE:
        connection.execute("SELECT set_config(%s, %s, true)", (name, value))
    row = connection.execute(ALONE).fetchone()
    if row is None or not row[0]:
        return [], []
    error = InvalidTaskError("A task that this one waited for was deleted from its queue.")
    told = json.loads(f"{{{failure(states.FAILURE, error, None)}}}")
    stuck = connection.execute(STUCK_JOINS).fetchall()
    if not stuck:
        connection.execute(SWEEP_JOINS)
        return [], []
    # Joins first and in their order, as in a turn.
    failing = f"{{{','.join(id for id, _ in stuck)}}}"
    connection.execute(LOCK_JOINS, {"failing": failing, "counted": "{}"})
    failures = [
        {"feeds": id, "position": 0 if counted else None, "name": "(deleted)", **told}
        for id, counted in stuck
    ]
    row = connection.execute(END_STUCK, (json.dumps(failures),)).fetchone()
    return row if row is not None else ([], [])
