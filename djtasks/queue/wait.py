"""Waiting for tasks to end: by notification, or by polling where a pooler forbids that.

A waiter leaves a row, then looks at the state, then sleeps; a worker commits an end, then looks
for such rows and notifies. One of the two always sees the other.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg

from djtasks.conf import conf
from djtasks.queue.connect import is_pooled, parameters
from djtasks.queue.sql import load

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType
    from uuid import UUID

logger = logging.getLogger("djtasks.result")

WAIT = load("wait")
STOP_WAITING = load("stop_waiting")

KEPT = 4
"""Listening connections that a process keeps open for the next wait."""

KEPT_FOR = 60.0
"""Seconds after which a connection that nobody used is closed instead of used again."""

FIRST_POLL = 0.002
"""Seconds before the second look where notifications are impossible; doubled each time."""

LAST_POLL = 0.5
"""The longest pause between two looks, in seconds, where notifications are impossible."""


class Waiting:
    """One wait for some tasks, as a context manager.

    Entered before the state is looked at, so that no end goes unseen; ``pause()`` then sleeps
    until one of the tasks may have ended.
    """

    def __init__(self, ids: Collection[UUID], *, using: str | None = None) -> None:
        self._ids = list(ids)
        self._alias = using or conf.DATABASE
        self._line: Line | None = None
        self._poll = FIRST_POLL

    def __enter__(self) -> Waiting:
        if conf.LISTEN is not False:
            self._line = self._leave_word()
        return self

    def _leave_word(self) -> Line | None:
        """Say on a listening connection what is waited for; None where nobody could answer."""
        while (line := _take(self._alias)) is not None:
            try:
                line.connection.execute(WAIT, (self._ids,))
            except psycopg.OperationalError:
                line.connection.close()
                if line.is_new:
                    raise
                # One that was kept may have been lost since it was used.
                logger.debug("A kept connection was lost; taking another", exc_info=True)
            else:
                return line
        return None

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        line, self._line = self._line, None
        if line is None:
            return
        try:
            line.connection.execute(STOP_WAITING)
        except psycopg.Error:
            # The row goes with the next wait's clean-up; the wait itself is over.
            logger.debug("A waiting connection was lost", exc_info=True)
            line.connection.close()
        else:
            _give_back(line)

    def pause(self, longest: float) -> list[str] | None:
        """Sleep until one of the tasks may have ended, at most ``longest`` seconds.

        Returns the ids of those that are said to have ended, others that this process waited for
        before among them; None where nobody can say.
        """
        line = self._line
        if line is None:
            time.sleep(max(0.0, min(longest, self._poll)))
            self._poll = min(self._poll * 2, LAST_POLL)
            return None
        try:
            notified = line.connection.notifies(timeout=max(0.0, longest), stop_after=1)
            return [notification.payload for notification in notified]
        except psycopg.OperationalError:
            logger.debug("A waiting connection was lost; polling instead", exc_info=True)
            line.connection.close()
            self._line = None
            return None

    def hidden(self, ids: Collection[UUID]) -> list[UUID]:
        """Those tasks of which others see neither a message nor a result: none is committed.

        Without a connection of its own the wait cannot tell, and says none.
        """
        if self._line is None or not ids:
            return []
        found = self._line.connection.execute(
            "SELECT id FROM unnest(%s::uuid[]) AS i (id)"
            " WHERE NOT EXISTS (SELECT FROM djtasks_message m WHERE m.id = i.id)"
            " AND NOT EXISTS (SELECT FROM djtasks_taskresult r WHERE r.id = i.id)",
            (list(ids),),
        )
        return [row[0] for row in found]


class Line:
    """A listening connection and when it was last used."""

    def __init__(self, alias: str, connection: psycopg.Connection[Any]) -> None:
        self.alias = alias
        self.connection = connection
        self.pid = os.getpid()
        self.used = time.monotonic()
        self.is_new = True


_kept: list[Line] = []
_guard = threading.Lock()
_pooled: set[str] = set()
"""Databases behind a pooler, where no notification arrives: found out once."""


def _take(alias: str) -> Line | None:
    """A listening connection, kept or new; None where notifications cannot arrive."""
    with _guard:
        for line in [line for line in _kept if line.pid != os.getpid()]:
            # After a fork the parent's connections must not be used, nor closed, from here.
            _kept.remove(line)
        for line in reversed(_kept):
            if line.alias == alias:
                _kept.remove(line)
                if time.monotonic() - line.used < KEPT_FOR and not line.connection.broken:
                    return line
                line.connection.close()
    if alias in _pooled:
        return None
    connection = psycopg.connect(**parameters(alias), autocommit=True)
    connection.prepare_threshold = None
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    pid = row[0] if row else 0
    if conf.LISTEN is None and is_pooled(connection, pid):
        connection.close()
        _pooled.add(alias)
        return None
    connection.execute(f"LISTEN djtasks_done_{pid:d}")
    return Line(alias, connection)


def close_kept() -> None:
    """Close the connections that are kept for the next wait: a test database is to be dropped."""
    with _guard:
        ours = [line for line in _kept if line.pid == os.getpid()]
        _kept.clear()
    for line in ours:
        line.connection.close()


def _give_back(line: Line) -> None:
    line.used = time.monotonic()
    line.is_new = False
    with _guard:
        stale = [one for one in _kept if line.used - one.used > KEPT_FOR]
        for one in stale:
            _kept.remove(one)
        if len(_kept) < KEPT:
            _kept.append(line)
        else:
            stale.append(line)
    for one in stale:
        one.connection.close()
