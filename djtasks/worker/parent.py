"""The parent of a worker: it claims, hands out, and writes outcomes; it runs no user code."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors

from djtasks import signals
from djtasks.execution.lost import Verdict
from djtasks.queue.finish import Batch, unstorable
from djtasks.worker.crew import Crew
from djtasks.worker.intake import Intake
from djtasks.worker.keeper import Keeper, Losses
from djtasks.worker.member import Assignment
from djtasks.worker.session import Session, Turn
from djtasks.worker.stop import Stop, Stopping

if TYPE_CHECKING:
    from collections.abc import Callable

    from djtasks.worker.nursery import Nursery
    from djtasks.worker.options import WorkerOptions

logger = logging.getLogger("djtasks.worker")

WATCH_INTERVAL = 0.02
"""Seconds between two looks at what the children run, while that matters."""

LONGEST_REST = 5.0
"""Seconds after which the parent looks for work though nothing woke it."""


FIRST_RETRY = 0.1
LAST_RETRY = 5.0
"""Seconds between two attempts to reach the database, doubled from the first to the last."""

LAST_WORDS = 10.0
"""Seconds for which a stopping worker tries to write its last outcomes."""


class Parent:
    """One worker. :meth:`run` is its whole life."""

    def __init__(self, options: WorkerOptions, nursery: Nursery | None) -> None:
        self.options = options
        self.crew = Crew(options, nursery)
        self.intake = Intake(options)
        self.session = Session(options.database, options.hostname, self._on_notify)
        self.stop = Stop(options)
        self.keeper = Keeper(options, self._from_keeper_adopt, self._from_keeper_given_up)
        self.batch = Batch()
        self.worker_id = 0
        self.loop: asyncio.AbstractEventLoop | None = None
        self._stirred = asyncio.Event()
        self._given_up = False
        self._retry_at = 0.0
        self._retry_pause = FIRST_RETRY

    async def run(self, ready: Callable[[], None] = lambda: None) -> int:
        """Serve until stopped; returns the exit status. ``ready`` is called once, connected.

        Raises ``psycopg.Error`` if the database cannot be reached at the start.
        """
        self.loop = asyncio.get_running_loop()
        await self.session.connect()
        await self._register()
        self.keeper.start()
        self.crew.start()
        ready()
        signals.worker_ready.emit(self)
        watch = asyncio.create_task(self._watch())
        try:
            while not self._finished():
                self._collect()
                if self._has_reason_for_turn():
                    await self._turn()
                else:
                    await self._rest()
        finally:
            watch.cancel()
            await self._leave()
        return 1 if self.stop.stage is Stopping.NOW else 0

    def on_signal(self, number: int) -> None:
        """Take a signal that asks the worker to stop."""
        self.stop.on_signal(number)
        self.crew.recall_all()
        self._stirred.set()

    def _collect(self) -> None:
        """Take what the children report, and hand out what is in hand."""
        crew = self.crew
        crew.news(self.batch)
        crew.collect(self.batch)
        if self._may_claim():
            crew.restart_missing(time.monotonic())
            crew.deal()
            if crew.hand and not crew.is_starting():
                crew.release_hand(self.batch)
        else:
            crew.release_hand(self.batch)
            crew.deal()

    def _finished(self) -> bool:
        if self.stop.stage is Stopping.NOW:
            return True
        idle = not self.crew.busy and not len(self.batch)
        if self.stop.stage is Stopping.WARM or self.intake.used_up:
            return idle
        return self.options.drain and idle and self.intake.satisfied and self.session.is_open

    def _has_reason_for_turn(self) -> bool:
        now = time.monotonic()
        if now < self._retry_at:
            return False
        if not self.session.is_open or self._given_up:
            return True
        return bool(len(self.batch)) or (
            self._may_claim() and self.intake.wants_to_look(now) and self.crew.room() > 0
        )

    def _may_claim(self) -> bool:
        running = self.stop.stage is Stopping.NO and not self._given_up
        return running and self.keeper.holds_lease()

    # --- one turn ----------------------------------------------------------------------------

    async def _turn(self) -> None:
        """Write what is done and claim what there is room for, in one round trip."""
        if not (self.session.is_open or await self._reconnect()):
            return
        if self._given_up:
            await self._register()
        began = time.monotonic()
        looks = self._may_claim() and self.intake.wants_to_look(began)
        room = self.crew.room() if looks else 0
        batch, self.batch = self.batch, Batch()
        turn = self.intake.plan(Turn(batch), room, began, listens=self.session.listens)
        try:
            await self.session.turn(turn, self.worker_id)
        except psycopg.Error as error:
            # Outcomes are kept, and come before those that were added meanwhile.
            self.batch = Batch(batch.entries + self.batch.entries)
            self.intake.failed()
            await self._recover(error)
            return
        self._retry_pause = FIRST_RETRY
        if turn.given_away:
            logger.warning(
                "%d outcomes were not stored: their messages had been given to another worker, "
                "for this one could not renew its lease",
                turn.given_away,
            )
        claimed = self.intake.done(turn, began, time.monotonic())
        if claimed:
            self.crew.take(self.intake.known(claimed, self.worker_id, self.batch), self.worker_id)
            self.crew.deal()

    async def _recover(self, error: psycopg.Error) -> None:
        """After a turn that failed: reconnect, try once more, or find the outcome at fault."""
        await self.session.roll_back()
        now = time.monotonic()
        if not self.session.is_open:
            logger.error("The connection to the database was lost: %s", str(error).strip())
            await self.session.close()
            self._retry_at = now + FIRST_RETRY
        elif isinstance(error, (errors.DeadlockDetected, errors.SerializationFailure)):
            logger.info("A turn is run once more: %s", str(error).strip())
        elif isinstance(error, (psycopg.DataError, psycopg.IntegrityError)) and len(self.batch):
            await self._write_one_by_one()
        else:
            logger.error("A turn failed and is tried again: %s", str(error).strip())
            self._retry_at = now + self._retry_pause
            self._retry_pause = min(self._retry_pause * 2, LAST_RETRY)

    async def _write_one_by_one(self) -> None:
        """Write each outcome in a turn of its own, and a failure in place of one that cannot be."""
        entries, self.batch = self.batch.entries, Batch()
        for position, entry in enumerate(entries):
            try:
                await self.session.turn(Turn(Batch([entry])), self.worker_id)
            except (psycopg.DataError, psycopg.IntegrityError) as error:
                logger.exception("An outcome of message %s could not be stored", entry.key)
                self.batch.entries.append(unstorable(entry, error))
            except psycopg.Error:
                self.batch.entries.extend(entries[position:])
                return

    async def _reconnect(self) -> bool:
        try:
            await self.session.connect()
            await self.session.lock(self.worker_id)
            held = self.crew.held_ids() + [entry.key for entry in self.batch.entries]
            await self.session.release_strays(self.worker_id, held)
        except (psycopg.Error, OSError, TimeoutError) as error:
            logger.debug("The database is still away: %s", error)
            await self.session.close()
            self._retry_at = time.monotonic() + self._retry_pause
            self._retry_pause = min(self._retry_pause * 2, LAST_RETRY)
            return False
        logger.warning("Connected to the database again")
        self.intake.start_over()
        return True

    async def _register(self) -> None:
        """Take a new worker id. What is held under an old one may be given to others."""
        self.worker_id = await asyncio.to_thread(self.keeper.register, locked=self.session.listens)
        await self.session.lock(self.worker_id)
        self.crew.own_as(self.worker_id)
        self._given_up = False
        self.intake.start_over()

    # --- waiting -----------------------------------------------------------------------------

    async def _rest(self) -> None:
        """Sleep until something happens: an outcome, a message, a due time, a signal."""
        loop = asyncio.get_running_loop()
        stirred = self._stirred
        fds = [member.sock.fileno() for member in self.crew.members.values()]
        if self.crew.nursery is not None:
            fds.append(self.crew.nursery.control.fileno())
        for fd in fds:
            loop.add_reader(fd, stirred.set)
        connection = self.session.fileno()
        if connection is not None:
            loop.add_reader(connection, self._on_connection)
            fds.append(connection)
        longest = self._longest_rest()
        timer = loop.call_later(longest, stirred.set)
        began = time.monotonic()
        try:
            await stirred.wait()
            if time.monotonic() - began >= LONGEST_REST:
                self.intake.rested_longest()
        finally:
            timer.cancel()
            stirred.clear()
            for fd in fds:
                loop.remove_reader(fd)

    def _longest_rest(self) -> float:
        now = time.monotonic()
        rest = LONGEST_REST
        if self._may_claim() and self.session.is_open:
            if self.crew.room() > 0:
                rest = self.intake.longest_rest(now, listens=self.session.listens)
        else:
            rest = 0.2
        if not self.session.is_open or self._retry_at > now:
            rest = min(rest, max(0.0, self._retry_at - now))
        if self.crew.is_starting():
            rest = min(rest, 0.2)
        return max(0.0, min(rest, self.stop.remaining(now)))

    def _on_connection(self) -> None:
        self._stirred.set()
        try:
            self.session.take_notifications()
        except psycopg.OperationalError as error:
            logger.error("The connection to the database was lost: %s", str(error).strip())
            self.session.forget()

    def _on_notify(self, channel: str, queue: str) -> None:
        self.intake.on_notify(channel, queue)
        self._stirred.set()

    async def _watch(self) -> None:
        """Look after long and limited messages, also while a turn is under way."""
        while True:
            await asyncio.sleep(WATCH_INTERVAL if self.crew.needs_watching() else 0.1)
            self.crew.watch()

    # --- from the keeper's thread ------------------------------------------------------------

    def _from_keeper_adopt(self, losses: Losses) -> None:
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._adopt, losses)

    def _from_keeper_given_up(self) -> None:
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._lapse)

    def _lapse(self) -> None:
        if not self._given_up:
            self._given_up = True
            logger.warning(
                "Other workers have given this one up, for it could not renew its lease; "
                "it goes on under a new id"
            )
            self.crew.recall_all()
            self.intake.hungry = True
            self._stirred.set()

    def _adopt(self, losses: Losses) -> None:
        for delivery, decided in losses:
            detail = "The worker that ran it is gone."
            if delivery.deliveries and decided == Verdict.FAIL.value:
                detail = (
                    f"The workers that ran it are gone, {delivery.deliveries + 1} times; it is "
                    f"not delivered again (max_deliveries)."
                )
            self.crew.post_mortem.append(
                Assignment(delivery, self.worker_id, None, (decided, "lost", detail))
            )
        self._stirred.set()

    # --- the end -----------------------------------------------------------------------------

    async def _leave(self) -> None:
        """Write what is left, give back what was not begun, and say goodbye."""
        if self.stop.stage is Stopping.NOW:
            self.crew.kill(self.batch)
        self.crew.close()
        ends = time.monotonic() + LAST_WORDS
        while len(self.batch) and time.monotonic() < ends:
            if time.monotonic() >= self._retry_at:
                await self._turn()
            else:
                await asyncio.sleep(0.05)
        if len(self.batch):
            logger.error("%d outcomes could not be written before the end", len(self.batch))
        await asyncio.to_thread(self.keeper.stop)
        await self.session.close()
        signals.worker_shutdown.emit(self)
