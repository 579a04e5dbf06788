"""A beat: sends what is due, then sleeps until the next is, or until a schedule changes."""

from __future__ import annotations

import logging
import select
import time
from typing import TYPE_CHECKING, Any, Final

import psycopg
from django.db import Error, InterfaceError, OperationalError, connections

from djtasks import signals
from djtasks.beat.send import Sender
from djtasks.conf import conf
from djtasks.queue.connect import is_pooled

if TYPE_CHECKING:
    import socket

__all__ = ["CHANNEL", "Beat"]

logger = logging.getLogger("djtasks.beat")

CHANNEL: Final = "djtasks_beat"
"""Where the trigger of the table tells that a schedule was made or changed."""

LONGEST_SLEEP: Final = 60.0
"""Seconds between two looks at least, though nothing is due and nobody tells of a change."""

SHORTEST_SLEEP: Final = 0.05
"""Seconds to wait for what is due and in the hands of another beat ..."""

LONGEST_WAIT: Final = 1.0
"""... twice as long each time, up to this."""

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
"""Seconds between two attempts to reach a database that is gone, twice as long each time."""


class Beat:
    """Sends the schedules of one database until ``stop`` can be read from.

    ``stop`` is a socket: of the worker, which closes its end, or of a handler of signals.
    """

    def __init__(self, alias: str, stop: socket.socket) -> None:
        self._alias = alias
        self._stop = stop
        self._sender = Sender(alias)
        self._connection: psycopg.Connection[Any] | None = None
        self._listens = False
        self._changed = False
        self._pause = 0.0
        self._wait = SHORTEST_SLEEP

    def run(self, *, embedded: bool = False) -> None:
        """Beat until told to stop. A database that is gone is waited for."""
        signals.beat_init.emit(self)
        if embedded:
            signals.beat_embedded_init.emit(self)
        try:
            while not self._is_stopping():
                try:
                    self._turn()
                except (InterfaceError, OperationalError, psycopg.OperationalError) as error:
                    self._lost(error)
                except Error:
                    # Of no schedule: the tables are not as they should be, perhaps half migrated.
                    logger.exception("The schedules cannot be read; trying again")
                    self._lost(None)
        finally:
            self._drop()

    def _turn(self) -> None:
        """Send all that is due, then sleep."""
        self._open()
        self._changed = False
        sent = False
        while self._sender.send_one():
            sent = True
            if self._is_stopping():
                return
        if self._pause:
            logger.warning("The database is back")
            self._pause = 0.0
        due = self._sender.next_due()
        if due is not None and due <= 0 and not sent:
            # Another beat has it. If it fails, it is ours.
            self._wait = min(self._wait * 2, LONGEST_WAIT)
        else:
            self._wait = SHORTEST_SLEEP
        longest = LONGEST_SLEEP if self._listens else conf.POLL_INTERVAL
        self._sleep(longest if due is None else min(max(due, self._wait), longest))

    def _sleep(self, seconds: float) -> None:
        """Until so much time has passed, a schedule has changed, or it is time to stop."""
        connection = self._connection
        deadline = time.monotonic() + seconds
        while connection is not None:
            # What came with the last answer is in memory, and the socket tells of nothing.
            self._take_notifications(connection)
            if self._changed:
                return
            rest = deadline - time.monotonic()
            if rest <= 0:
                return
            # select() may return a little early: what is not due yet would be asked for twice.
            sockets: list[Any] = [self._stop, connection]
            readable, _, _ = select.select(sockets, [], [], rest + 0.0005)
            if self._stop in readable or not readable:
                return

    def _take_notifications(self, connection: psycopg.Connection[Any]) -> None:
        connection.pgconn.consume_input()
        while connection.pgconn.notifies():
            self._changed = True

    def _is_stopping(self) -> bool:
        return bool(select.select([self._stop], [], [], 0)[0])

    def _open(self) -> None:
        wrapper = connections[self._alias]
        wrapper.ensure_connection()
        connection: psycopg.Connection[Any] = wrapper.connection
        if connection is self._connection:
            return
        self._listens = False
        if conf.LISTEN is not False:
            row = connection.execute("SELECT pg_backend_pid()").fetchone()
            if conf.LISTEN or not is_pooled(connection, row[0] if row else 0):
                connection.execute(f"LISTEN {CHANNEL}")
                connection.add_notify_handler(self._on_notify)
                self._listens = True
        self._connection = connection

    def _on_notify(self, notify: psycopg.Notify) -> None:
        self._changed = True

    def _lost(self, error: Exception | None) -> None:
        """Close the connection, and wait a little longer each time."""
        if error is not None and not self._pause:
            logger.warning("The database is gone, or refuses; trying again: %s", str(error).strip())
        elif error is not None:
            logger.debug("The database still is not there: %s", error)
        self._drop()
        self._pause = min(max(self._pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
        select.select([self._stop], [], [], self._pause)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and self._listens:
            connection.remove_notify_handler(self._on_notify)
        connections[self._alias].close()
