"""The parent's way to the database: turns, what is done when one fails, and coming back."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors

from djtasks.queue.finish import Batch, Entry, unstorable
from djtasks.worker.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from djtasks.worker.session import Session

logger = logging.getLogger("djtasks.worker")

FIRST_RETRY = 0.1
LAST_RETRY = 5.0
"""Seconds between two attempts after a failure, doubled from the first to the last."""

DEFER = 2.0
"""Seconds before an outcome is tried again whose row somebody else has locked."""

MOST_ENTRIES = 2000
MOST_CHARACTERS = 16_000_000
"""How much one turn writes at most."""

MOST_FAILURES = 3
"""Turns that may fail on a living connection before each outcome is written by itself."""


class Link:
    """Carries turns, and keeps outcomes until they are written.

    After any failure the connection is made anew: what it believed of its session may be wrong
    by then, and claims that were committed unheard are given back.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.batch = Batch()
        self._retry_at = 0.0
        self._pause = FIRST_RETRY
        self._failures = 0
        self._told = False
        self._one_by_one = False
        self._deferred: list[Entry] = []
        self._deferred_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that may work."""
        return self.session.is_open

    @property
    def has_outcomes(self) -> bool:
        """Whether something is still to be written."""
        return bool(len(self.batch) or self._deferred)

    def outgoing(self) -> list[str]:
        """The ids, in hexadecimal digits, of messages whose outcomes are still to be written."""
        return [entry.key for entry in self.batch.entries + self._deferred]

    def due(self, now: float) -> bool:
        """Whether something is to be written now; ``now`` on the monotonic clock."""
        return bool(len(self.batch)) or (bool(self._deferred) and now >= self._deferred_until)

    def waits(self, now: float) -> float:
        """Seconds until the next attempt is allowed; 0 if it is."""
        return max(0.0, self._retry_at - now)

    async def connect(self, worker_id: int, held: Callable[[], list[str]]) -> bool:
        """Open the connection again; False, and a longer pause, if that does not succeed.

        ``held`` tells which messages are in the worker's care; others that are claimed for it
        are given back.
        """
        try:
            await self.session.connect()
            await self.session.lock(worker_id)
            ids = held() + self.outgoing()
            await self.session.release_strays(worker_id, ids)
        except (psycopg.Error, OSError, TimeoutError) as error:
            logger.debug("The database is still away: %s", error)
            await self.session.close()
            self._wait_longer()
            return False
        if self._told:
            self._told = False
            logger.warning("Connected to the database again")
        return True

    async def turn(self, turn: Turn, worker_id: int) -> bool:
        """Carry out a turn. False if it failed: its outcomes are in :attr:`batch` again."""
        if self._one_by_one:
            self._one_by_one = False
            self._keep(turn.batch)
            await self._write_one_by_one(worker_id)
            return False
        if self._deferred and time.monotonic() >= self._deferred_until:
            self._keep(turn.batch)
            await self._write_deferred(worker_id)
            return False
        try:
            await self.session.turn(turn, worker_id)
        except psycopg.Error as error:
            self._keep(turn.batch)
            await self._failed(error)
            return False
        self._pause = FIRST_RETRY
        self._failures = 0
        if turn.given_away:
            logger.warning(
                "%d outcomes were not stored: their messages had been given to another worker, "
                "for this one could not renew its lease",
                turn.given_away,
            )
        return True

    def take(self) -> Batch:
        """What the next turn is to write; the rest is kept."""
        entries = self.batch.entries
        size = 0
        count = 0
        for entry in entries[:MOST_ENTRIES]:
            size += len(entry.members)
            if count and size > MOST_CHARACTERS:
                break
            count += 1
        taken, self.batch = Batch(entries[:count]), Batch(entries[count:])
        return taken

    async def interrupted(self, error: psycopg.Error) -> None:
        """Something beside a turn failed; what it may have claimed is given back by and by."""
        was_open = self.session.is_open
        await self.session.close()
        self._retry_at = time.monotonic() + FIRST_RETRY
        if not was_open:
            self._tell(error)
        else:
            logger.warning("What may run is asked for once more: %s", _line(error))

    def lost(self, error: Exception) -> None:
        """The connection was found to be gone while nothing was under way."""
        self._tell(error)
        self.session.forget()

    def _keep(self, batch: Batch) -> None:
        # What was tried comes before what was added meanwhile.
        self.batch = Batch(batch.entries + self.batch.entries)

    async def _failed(self, error: psycopg.Error) -> None:
        was_open = self.session.is_open
        await self.session.close()
        if not was_open:
            self._tell(error)
            self._retry_at = time.monotonic() + FIRST_RETRY
            return
        self._failures += 1
        if isinstance(error, (errors.DeadlockDetected, errors.SerializationFailure)):
            logger.info("A turn is run once more: %s", _line(error))
            return
        bad_data = isinstance(error, (psycopg.DataError, psycopg.IntegrityError))
        blocked = isinstance(error, errors.LockNotAvailable)
        if len(self.batch) and (bad_data or blocked or self._failures >= MOST_FAILURES):
            self._one_by_one = True
            return
        if self._failures == 1:
            logger.error("A turn failed and is tried again: %s", _line(error))
        self._wait_longer()

    async def _write_one_by_one(self, worker_id: int) -> None:
        """Write each outcome in a turn of its own.

        One that cannot be stored is replaced by a failure that says so; one whose row somebody
        has locked is kept for later, and the others do not wait for it.
        """
        entries, self.batch = self.batch.entries, Batch()
        for position, entry in enumerate(entries):
            try:
                await self.session.turn(Turn(Batch([entry])), worker_id)
            except psycopg.Error as error:
                was_open = self.session.is_open
                await self.session.close()
                if not was_open:
                    self._tell(error)
                    self.batch.entries.extend(entries[position:])
                    return
                # The connection is made anew, and then the rest is written together again.
                rest = entries[position + 1 :]
                if isinstance(error, errors.LockNotAvailable):
                    rest = self._defer(entry, rest)
                else:
                    rest.append(self._instead(entry, error))
                self.batch.entries.extend(rest)
                return

    def _defer(self, entry: Entry, others: list[Entry]) -> list[Entry]:
        """Keep an outcome for later that met a lock; returns the others that need not wait."""
        logger.info("The row of message %s is locked; its outcome is kept", entry.key)
        # Those of the same join would meet the same lock, each after 200 ms.
        same = [o for o in others if o.feeds is not None and o.feeds == entry.feeds]
        self._deferred += [entry, *same]
        self._deferred_until = time.monotonic() + DEFER
        return [other for other in others if other not in same]

    async def _write_deferred(self, worker_id: int) -> None:
        """Try again to write what was locked; the rest of the batch waits no longer than that."""
        entries, self._deferred = self._deferred, []
        try:
            await self.session.turn(Turn(Batch(entries)), worker_id)
        except psycopg.Error as error:
            self._deferred = entries
            self._deferred_until = time.monotonic() + DEFER
            was_open = self.session.is_open
            await self.session.close()
            if not was_open:
                self._tell(error)
            elif not isinstance(error, errors.LockNotAvailable):
                self._deferred = []
                self.batch.entries.extend(entries)
                self._one_by_one = True

    def _instead(self, entry: Entry, error: psycopg.Error) -> Entry:
        if isinstance(error, (errors.DeadlockDetected, errors.SerializationFailure)):
            return entry
        logger.error("An outcome of message %s cannot be stored: %s", entry.key, _line(error))
        return unstorable(entry, error)

    def _tell(self, error: Exception) -> None:
        if not self._told:
            self._told = True
            logger.error("The connection to the database was lost: %s", _line(error))

    def _wait_longer(self) -> None:
        self._retry_at = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, LAST_RETRY)


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
