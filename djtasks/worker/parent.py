"""The parent of a worker: it claims, hands out, and writes outcomes; it runs no user code."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, ParamSpec

import psycopg

from djtasks import signals
from djtasks.execution.lost import Verdict
from djtasks.registry import registry
from djtasks.worker.admission import Admission
from djtasks.worker.answers import Answers
from djtasks.worker.autoscale import Autoscaler
from djtasks.worker.crew import Crew
from djtasks.worker.intake import LONGEST_REST, Intake
from djtasks.worker.keeper import Keeper
from djtasks.worker.link import Link
from djtasks.worker.member import Assignment
from djtasks.worker.orders import CHANNEL, EVERYBODY, Orders
from djtasks.worker.report import Report
from djtasks.worker.session import Session
from djtasks.worker.shape import Shape
from djtasks.worker.sizing import fit, scale
from djtasks.worker.stop import Stop, Stopping
from djtasks.worker.taking import Taking
from djtasks.worker.turn import Turn
from djtasks.worker.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from djtasks.queue.delivery import Delivery
    from djtasks.worker.nursery import Nursery
    from djtasks.worker.options import WorkerOptions
    from djtasks.worker.questions import Question
    from djtasks.worker.rescue import Losses

logger = logging.getLogger("djtasks.worker")

P = ParamSpec("P")

WATCH_INTERVAL = 0.02
"""Seconds between two looks at what the children run, while that matters."""

LAST_WORDS = 10.0
"""Seconds for which a stopping worker tries to write its last outcomes."""


class Parent:
    """One worker. :meth:`run` is its whole life."""

    def __init__(self, options: WorkerOptions, nursery: Nursery | None) -> None:
        self.options = options
        self.shape = Shape(options)
        self.crew = Crew(options, self.shape, nursery)
        self.watch = Watch(self.crew)
        self.intake = Intake(options, self.shape)
        self.session = Session(options.database, options.hostname, self._on_notify)
        self.stop = Stop(options)
        self.report = Report(self.crew)
        self.keeper = Keeper(
            options,
            self.shape,
            self.report,
            self.crew.tally,
            self._from_keeper(self._adopt),
            self._from_keeper(self._obey),
            self._from_keeper(self._ask),
            self._from_keeper(self.crew.limit),
            self._from_keeper(self._lapse),
            self.crew.beating.begin,
            self._from_keeper(self._end),
        )
        self.crew.terminations.pass_on = self.keeper.end_elsewhere
        self.admission = Admission(self.keeper.rates, self.crew.behind)
        self.intake.rates = self.keeper.rates
        self.link = Link(self.session)
        self.crew.terminations.outgoing = self.link.outgoing
        self.taking = Taking(self.link, self.intake, self.crew, self.admission, self._may_claim)
        self.answers = Answers(self)
        self.autoscaler = Autoscaler()
        self.worker_id = 0
        self.loop: asyncio.AbstractEventLoop | None = None
        self._stirred = asyncio.Event()
        self._given_up = False

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
            while not await self._is_over():
                self._collect()
                if self._has_reason_for_turn():
                    with self.crew.terminations.while_claiming():
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
        self.crew.beating.close()
        self.watch.recall_all()
        self._stirred.set()

    def _collect(self) -> None:
        """Take what the children report, and hand out what is in hand."""
        crew, batch = self.crew, self.link.batch
        crew.news(batch)
        crew.collect(batch)
        may_run = self._may_run()
        if may_run or crew.post_mortem:
            # A stopping worker too needs a child that records what became of the last one.
            crew.restart_missing(time.monotonic())
        if not may_run:
            crew.release_all(batch)
        crew.deal()
        if crew.hand and not crew.is_starting():
            crew.release_hand(batch)

    async def _is_over(self) -> bool:
        if not self._finished():
            return False
        if self.stop.stage is not Stopping.NO or self.intake.used_up:
            return True
        # It drains its queues: what limits hold up is a part of what is there.
        options = self.options
        try:
            return not await self.session.is_blocked(
                options.queues, options.excluded_queues, registry
            )
        except psycopg.Error as error:
            await self.link.interrupted(error)
            return False

    def _finished(self) -> bool:
        if self.stop.stage is Stopping.NOW:
            return True
        idle = not self.crew.busy and not self.link.has_outcomes
        if self.stop.stage is Stopping.WARM or self.intake.used_up:
            return idle
        return self.options.drain and idle and self.intake.satisfied and self.session.is_open

    def _has_reason_for_turn(self) -> bool:
        now = time.monotonic()
        if self.link.waits(now):
            return False
        if not self.link.is_open or self._given_up:
            return True
        if self.link.due(now) or self.crew.behind.rest(now) == 0:
            return True
        return self._may_claim() and self.intake.wants_to_look(now) and self.crew.room() > 0

    def _may_run(self) -> bool:
        """Whether what is claimed may begin."""
        running = self.stop.stage is Stopping.NO and not self._given_up
        return running and self.keeper.holds_lease()

    def _may_claim(self) -> bool:
        return not self.report.quiet and self._may_run()

    # --- one turn ----------------------------------------------------------------------------

    async def _turn(self) -> None:
        """Write what is done and claim what there is room for, in one round trip."""
        link = self.link
        if not link.is_open:
            if not await link.connect(self.worker_id, self._cares_for):
                return
            self.intake.start_over()
        if self._given_up and not await self._register_again():
            return
        began = time.monotonic()
        if link.batch.feeds:
            # What waits for these ends becomes ready with them, and is claimed in the same turn.
            self.intake.stir()
        if self.intake.must_open(began) and self._may_claim() and not await self.taking.open():
            return
        looks = self._may_claim() and self.intake.wants_to_look(began)
        lines_first = looks and self.intake.lines_go_first(began)
        if lines_first and not await self.taking.serve_lines(self.worker_id):
            return
        room = self.crew.room() if looks else 0
        turn = self.intake.plan(Turn(link.take()), room, began, listens=self.session.listens)
        if not await link.turn(turn, self.worker_id):
            self.intake.start_over()
            return
        self.admission.note_ends(turn.batch)
        claimed = self.intake.done(turn, began, time.monotonic())
        if await self.taking.begin(claimed, self.worker_id) and looks and not lines_first:
            await self.taking.serve_lines(self.worker_id)

    def _cares_for(self) -> list[str]:
        return [id.hex() for id in self.crew.cared_for()] + self.keeper.rescue.adopting()

    async def _register_again(self) -> bool:
        try:
            await self._register()
        except (psycopg.Error, OSError) as error:
            self.link.lost(error)
            return False
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
        # Those that hold nothing have nothing to say, and each costs two system calls.
        members = self.crew.members.values()
        fds = [m.sock.fileno() for m in members if m.held or not m.ready]
        if self.crew.nursery is not None:
            fds.append(self.crew.nursery.control.fileno())
        for fd in fds:
            loop.add_reader(fd, stirred.set)
        connection = self.session.fileno()
        if connection is not None:
            loop.add_reader(connection, self._on_connection)
            fds.append(connection)
            # What came with the last answers of a turn is in memory already: the socket that is
            # waited for would not tell of it before something else arrives.
            self._take_notifications()
        longest = self._longest_rest()
        timer = loop.call_later(longest, stirred.set)
        try:
            await stirred.wait()
            self.intake.rested(time.monotonic())
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
        elif not self.report.quiet:
            rest = 0.2
        if not self.link.is_open or self.link.waits(now):
            rest = min(rest, self.link.waits(now))
        if (until_due := self.crew.behind.rest(now)) is not None:
            rest = min(rest, until_due)
        if self.crew.is_starting() or self.link.has_outcomes:
            rest = min(rest, 0.2)
        return max(0.0, min(rest, self.stop.remaining(now)))

    def _on_connection(self) -> None:
        self._stirred.set()
        self._take_notifications()

    def _take_notifications(self) -> None:
        try:
            self.session.take_notifications()
        except psycopg.OperationalError as error:
            self.link.lost(error)

    def _on_notify(self, channel: str, payload: str) -> None:
        if channel == CHANNEL:
            if payload in (str(self.worker_id), EVERYBODY):
                self.keeper.stir()
            return
        self.intake.on_notify(channel, payload)
        self._stirred.set()

    async def _watch(self) -> None:
        """Look after long messages, limits and the beat, also while a turn is under way."""
        while True:
            await asyncio.sleep(WATCH_INTERVAL if self.watch.is_needed() else 0.1)
            self.watch.look()
            self.crew.beating.look(time.monotonic())
            if self.stop.stage is Stopping.NO and scale(
                self.crew, self.autoscaler, time.monotonic()
            ):
                self.reshaped()

    def reshaped(self) -> None:
        """Do what the shape says now, and have the worker's row say it."""
        fit(self.crew)
        self.intake.reshaped()
        self.keeper.stir()
        self._stirred.set()

    # --- from the keeper's thread ------------------------------------------------------------

    def _from_keeper(self, act: Callable[P, None]) -> Callable[P, None]:
        """``act``, for the keeper to call: it runs in this thread, once it is free for it."""

        def pass_on(*args: P.args, **kwargs: P.kwargs) -> None:
            if self.loop is not None:
                self.loop.call_soon_threadsafe(partial(act, *args, **kwargs))

        return pass_on

    def _lapse(self) -> None:
        if not self._given_up:
            self._given_up = True
            logger.warning(
                "Other workers have given this one up, for it could not renew its lease; "
                "it goes on under a new id"
            )
            self.watch.recall_all()
            self.intake.stir()
            self._stirred.set()

    def _ask(self, question: Question) -> None:
        self.keeper.answer(question, self.answers.to(question))

    def _obey(self, orders: Orders) -> None:
        """Do what the worker was told; to be told once more changes nothing."""
        if orders.quiet is not None and orders.quiet is not self.report.quiet:
            self.report.quiet = orders.quiet
            logger.warning(
                "Told to be quiet: claiming nothing more" if orders.quiet else "Told to claim again"
            )
            # Whether it was to be woken is not known any more: its row says no while it is quiet.
            self.intake.start_over()
            self.keeper.stir()
        if orders.look:
            self.intake.start_over()
        if orders.terminate:
            self.crew.terminations.order(orders.terminate)
        if orders.stop and self.stop.stage is Stopping.NO:
            logger.warning("Told to stop")
            self.on_signal(signal.SIGTERM)
        self._stirred.set()

    def _end(self, ended: list[Delivery], numbers: Mapping[bytes, int]) -> None:
        self.crew.terminations.record(ended, numbers, self.worker_id)
        self._stirred.set()

    def _adopt(self, losses: Losses) -> None:
        self.keeper.rescue.adopted(losses)
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
            self.crew.kill(self.link.batch)
        self.crew.close()
        ends = time.monotonic() + LAST_WORDS
        while self.link.has_outcomes and time.monotonic() < ends:
            now = time.monotonic()
            if self.link.due(now) and not self.link.waits(now):
                await self._turn()
            else:
                await asyncio.sleep(0.05)
        if self.link.has_outcomes:
            logger.error("Some outcomes could not be written before the end; they are lost")
        await asyncio.to_thread(self.keeper.stop)
        await self.session.close()
        signals.worker_shutdown.emit(self)
