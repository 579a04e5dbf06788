"""What every worker does now and then so that no table grows for ever."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from djtasks.conf import conf
from djtasks.queue.finish import TELL_WAITERS
from djtasks.queue.held import strays, unhold
from djtasks.queue.sql import load
from djtasks.queue.stuck import end_stuck
from djtasks.worker.schedule import Schedule
from djtasks.worker.session import plan_by_index

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

logger = logging.getLogger("djtasks.worker")

PRUNE_EVERY = 60.0
PRUNE_BATCH = 1000
PRUNE_SECONDS = 0.5
"""Seconds that one look may spend on deleting expired results."""

CHARTS_EVERY = 300.0
SWEEP_EVERY = 300.0
LEFTOVERS_EVERY = 3600.0
HELD_EVERY = 5.0

WAKE = load("wake")
PRUNE = load("prune")
PRUNE_GROUPS = load("prune_groups")
PRUNE_ACTIVITY = load("prune_activity")
PRUNE_DEPTH = load("prune_depth")
PRUNE_QUEUES = load("prune_queues")
SWEEP_QUESTIONS = load("sweep_questions")
SWEEP_WAITERS = load("sweep_waiters")
SWEEP_PAYLOADS = load("sweep_payloads")
SWEEP_STATES = load("sweep_states")
SWEEP_ATTEMPTS = load("sweep_attempts")
SWEEP_UNIQUE_LOOK = load("sweep_unique_look")
SWEEP_UNIQUE = load("sweep_unique")
LOCK_LANES = load("lock_lanes")
PRUNE_PLACES = load("prune_places")
PRUNE_RATES = load("prune_rates")

LANES_AT_ONCE = 200
"""Lanes that are locked at once: the server has room for some thousands of locks."""


class Housekeeping:
    """Deletes what has expired and what nothing points at; ``stopping`` says when to hurry."""

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping
        self._schedule = Schedule()
        self._next_key = ""

    def tidy(self, connection: psycopg.Connection[Any]) -> None:
        """Do what is due, and never for long: the heartbeat waits. Raises ``psycopg.Error``."""
        schedule = self._schedule
        if schedule.due("prune", PRUNE_EVERY):
            self._prune(connection)
        if schedule.due("unique", PRUNE_EVERY):
            self._sweep_unique(connection)
        if schedule.due("charts", CHARTS_EVERY):
            self._prune_charts(connection)
        if schedule.due("waiters", SWEEP_EVERY):
            connection.execute(SWEEP_WAITERS)
        if schedule.due("held", HELD_EVERY):
            self._free_held(connection)
        if schedule.due("leftovers", LEFTOVERS_EVERY):
            connection.execute(PRUNE_QUEUES)
            connection.execute(SWEEP_QUESTIONS)
            connection.execute(SWEEP_PAYLOADS)
            connection.execute(PRUNE_RATES)
            self._prune_places(connection)
            self._end_stuck(connection)
            if age := _result_age():
                connection.execute(SWEEP_STATES, {"age": age})
                self._sweep_attempts(connection, age)

    def _prune(self, connection: psycopg.Connection[Any]) -> None:
        """Delete expired results, in batches between which others have their turn."""
        age = _result_age()
        if age:
            connection.execute(PRUNE_GROUPS, {"age": age, "limit": PRUNE_BATCH})
        ends = time.monotonic() + PRUNE_SECONDS
        while age and time.monotonic() < ends and not self._stopping():
            with connection.transaction():
                plan_by_index(connection)
                row = connection.execute(PRUNE, {"age": age, "limit": PRUNE_BATCH}).fetchone()
            if row is None or row[0] < PRUNE_BATCH:
                return
        # There is more: go on at the next look, after the heartbeat.
        self._schedule.soon("prune")

    def _sweep_unique(self, connection: psycopg.Connection[Any]) -> None:
        """Delete unique keys that mean nothing any more, going on where the last look ended."""
        keys: list[str] = []
        ends = time.monotonic() + PRUNE_SECONDS
        while time.monotonic() < ends and not self._stopping():
            with connection.transaction():
                plan_by_index(connection)
                row = connection.execute(
                    SWEEP_UNIQUE_LOOK, {"after": self._next_key, "limit": PRUNE_BATCH}
                ).fetchone()
                keys, after = row or ([], None)
                if keys:
                    connection.execute(SWEEP_UNIQUE, {"keys": keys})
            self._next_key = after or ""
            if after is None:
                return
        if len(keys) > PRUNE_BATCH // 2:
            # They come faster than once a minute is enough for.
            self._schedule.soon("unique")

    def _prune_charts(self, connection: psycopg.Connection[Any]) -> None:
        """Delete counts that are older than what charts show."""
        ends = time.monotonic() + PRUNE_SECONDS
        for statement in (PRUNE_ACTIVITY, PRUNE_DEPTH):
            gone = PRUNE_BATCH
            while gone == PRUNE_BATCH and time.monotonic() < ends and not self._stopping():
                with connection.transaction():
                    plan_by_index(connection)
                    row = connection.execute(statement, {"limit": PRUNE_BATCH}).fetchone()
                gone = row[0] if row else 0

    def _sweep_attempts(self, connection: psycopg.Connection[Any], age: float) -> None:
        """Delete expired attempts of tasks that left no result."""
        after: int | None = 0
        ends = time.monotonic() + PRUNE_SECONDS
        while after is not None and time.monotonic() < ends and not self._stopping():
            batch = {"age": age, "after": after, "limit": PRUNE_BATCH}
            with connection.transaction():
                plan_by_index(connection)
                row = connection.execute(SWEEP_ATTEMPTS, batch).fetchone()
            after = row[0] if row else None

    def _free_held(self, connection: psycopg.Connection[Any]) -> None:
        """Make ready what is held of tasks that are not paused: a claim and a resume crossed."""
        cursor = connection.cursor()
        queues: set[str] = set()
        for task in strays(cursor):
            queues.update(unhold(cursor, task, stopping=self._stopping))
        for queue in sorted(queues):
            connection.execute(WAKE, {"channel": "djtasks_wake", "queue": queue})

    def _prune_places(self, connection: psycopg.Connection[Any]) -> None:
        """Delete places in lanes of messages that are gone."""
        ends = time.monotonic() + PRUNE_SECONDS
        while time.monotonic() < ends and not self._stopping():
            with connection.transaction():
                plan_by_index(connection)
                row = connection.execute(LOCK_LANES, {"limit": LANES_AT_ONCE}).fetchone()
                lanes = row[0] if row else None
                if lanes:
                    connection.execute(PRUNE_PLACES, {"lanes": lanes})
            if not lanes or len(lanes) < LANES_AT_ONCE:
                return

    @staticmethod
    def _end_stuck(connection: psycopg.Connection[Any]) -> None:
        """End what waits for messages that were deleted by hand."""
        queues, ids = end_stuck(connection)
        if ids:
            logger.warning(
                "%d tasks were ended that waited for tasks which somebody deleted", len(ids)
            )
            connection.execute(TELL_WAITERS, {"ids": f"{{{','.join(ids)}}}"})
        for queue in sorted(set(queues)):
            connection.execute(WAKE, {"channel": "djtasks_wake", "queue": queue})


def _result_age() -> float | None:
    """Seconds after which results are deleted; None or 0: never."""
    expires: float | timedelta | None = conf.RESULT_EXPIRES
    return expires.total_seconds() if isinstance(expires, timedelta) else expires
