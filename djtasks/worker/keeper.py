"""The thread that keeps a worker's lease, looks for dead workers, and tidies up.

It has a connection of its own, so that no turn can keep it from renewing; no task runs in its
process, so that none can starve it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.adapt import Loader

from djtasks import __version__, signals
from djtasks.conf import conf
from djtasks.queue.connect import parameters
from djtasks.queue.sql import load
from djtasks.worker.gauge import Gauge
from djtasks.worker.housekeeping import Housekeeping
from djtasks.worker.memory import held_by
from djtasks.worker.missed import Missed
from djtasks.worker.orders import Orders
from djtasks.worker.pipeline import RawUUID
from djtasks.worker.questions import Questions
from djtasks.worker.rates import Rates
from djtasks.worker.rescue import Rescue
from djtasks.worker.schedule import Schedule
from djtasks.worker.session import CONNECT_TIMEOUT
from djtasks.worker.unblock import EVERY as UNBLOCK_EVERY
from djtasks.worker.unblock import Unblocking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from psycopg.abc import Buffer

    from djtasks.queue.delivery import Delivery
    from djtasks.worker.options import WorkerOptions
    from djtasks.worker.questions import Question
    from djtasks.worker.report import Reading, Report
    from djtasks.worker.rescue import Losses
    from djtasks.worker.shape import Shape
    from djtasks.worker.tally import Tally

logger = logging.getLogger("djtasks.worker")

TICK = 1.0
"""Seconds between two looks for dead workers."""

ORPHANS_EVERY = 60.0

MEMORY_EVERY = 30.0
TALLY_EVERY = 5.0

PERIODIC_EVERY = 2.0
"""Seconds between two looks for schedules, while there is none."""

BEAT = load("beat")
OBEYED = load("obeyed")
HAS_SCHEDULES = load("has_schedules")
LIMITS = load("limits")
RESHAPE = load("reshape")

_REGISTER = """
INSERT INTO djtasks_worker
    (hostname, pid, pool, concurrency, queues, excluded_queues, version, lease, locked,
     wants_work, quiet)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, false, %s)
RETURNING id
"""


class RawTextUUID(Loader):
    """UUIDs in text results as their 16 bytes, like :class:`RawUUID` in binary ones."""

    def load(self, data: Buffer) -> bytes:
        """Return the bytes of the UUID."""
        return bytes.fromhex(bytes(data).decode().replace("-", ""))


class Keeper(threading.Thread):
    """Keeps the worker's row alive and rescues the messages of those whose row is not.

    ``report`` tells what is written to that row, ``tally`` what was counted for the charts.
    ``shape`` is what the row says of the worker itself. ``adopt`` is given messages of dead workers
    whose end is to be recorded, ``obey`` what the worker is told to do, ``ask`` what it is to
    answer, ``limit`` the time limits that are set for tasks, ``given_up`` is called when others
    have given this worker up, ``beat`` when there is a schedule to send, and ``end`` is given what
    is to be recorded as terminated; all from this thread.
    """

    def __init__(
        self,
        options: WorkerOptions,
        shape: Shape,
        report: Report,
        tally: Tally,
        adopt: Callable[[Losses], None],
        obey: Callable[[Orders], None],
        ask: Callable[[Question], None],
        limit: Callable[[list[tuple[str, float | None, float | None]]], None],
        given_up: Callable[[], None],
        beat: Callable[[], None],
        end: Callable[[list[Delivery], Mapping[bytes, int]], None],
    ) -> None:
        super().__init__(name="djtasks-keeper", daemon=True)
        self._options = options
        self._shape = shape
        self._shown = shape.version
        self.questions = Questions(ask)
        self.rates = Rates()
        self._limit = limit
        self._limits: list[tuple[Any, ...]] = []
        self._report = report
        self._tally = tally
        self._gauge = Gauge()
        self._obey = obey
        self._given_up = given_up
        self._begin_beat = beat
        self._beats = not options.beat
        self._stop_asked = threading.Event()
        self._stirred = threading.Event()
        self._guard = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._connected_at = 0.0
        self._reconnected = False
        self._worker_id = 0
        self._lease = conf.LEASE
        self._beat_every = conf.HEARTBEAT_INTERVAL
        self._orders = ""
        self._told: tuple[bool, tuple[int, ...]] = (False, ())
        self._schedule = Schedule()
        self._unblocking = Unblocking(self.rates)
        self._housekeeping = Housekeeping(self._stop_asked.is_set)
        self.rescue = Rescue(adopt)
        self._missed = Missed(end)
        self.renewed_at = time.monotonic()

    # --- called by the parent --------------------------------------------------------------

    def register(self, *, locked: bool) -> int:
        """Write this worker's row and return its id, which is new each time.

        ``locked`` says that the worker's session can hold a lock; one that cannot has a longer
        lease. Raises ``psycopg.Error``.
        """
        options, shape = self._options, self._shape
        lease = float(conf.LEASE if locked else conf.POOLED_LEASE)
        began = time.monotonic()
        with self._guard:
            self._shown = shape.version
            row = (
                self._open()
                .execute(
                    _REGISTER,
                    (
                        options.hostname,
                        os.getpid(),
                        options.pool,
                        shape.concurrency,
                        None if shape.queues is None else list(shape.queues),
                        list(shape.excluded_queues),
                        __version__,
                        lease,
                        locked,
                        self._report.quiet,
                    ),
                )
                .fetchone()
            )
        self._worker_id = row[0] if row else 0
        self._lease = lease
        # Who can be notified of orders need not look for them as often as people expect.
        self._beat_every = conf.HEARTBEAT_INTERVAL if locked else min(conf.HEARTBEAT_INTERVAL, TICK)
        self._orders = ""
        self.renewed_at = began
        return self._worker_id

    def holds_lease(self) -> bool:
        """Whether nobody can have given this worker up yet.

        One heartbeat before the lease runs out it is over for us: work that begins then may be
        given to another before the next renewal.
        """
        margin = min(1.0, self._lease / 4)
        return time.monotonic() - self.renewed_at < self._lease - margin

    def stir(self) -> None:
        """Write the heartbeat and read the orders now; from any thread."""
        self._schedule.soon("beat")
        self._stirred.set()

    def end_elsewhere(self, numbers: Mapping[bytes, int]) -> None:
        """End tasks, by their ids and signals, that have left this worker; from any thread."""
        self._missed.add(numbers)
        self._stirred.set()

    def answer(self, question: Question, answer: Any) -> None:
        """Write the answer to a question, soon; from any thread."""
        self.questions.answer(question, answer)
        self._stirred.set()

    def stop(self) -> None:
        """Take the worker's row away and end."""
        self._stop_asked.set()
        self._stirred.set()
        self.join(10)
        with suppress(psycopg.Error), self._guard:
            self.questions.take()
            self.questions.write(self._open())
            self._tally.write(self._open())
            self._open().execute("DELETE FROM djtasks_worker WHERE id = %s", (self._worker_id,))
        self._drop()

    # --- the thread ------------------------------------------------------------------------

    def run(self) -> None:
        """Renew, rescue and tidy until told to stop."""
        while True:
            self._stirred.wait(TICK)
            self._stirred.clear()
            if self._stop_asked.is_set():
                return
            try:
                with self._guard:
                    self._tick()
            except psycopg.Error as error:
                # The parent, which meets the same trouble, tells the user; here it is tried
                # again at the next tick, on a new connection.
                logger.debug("The keeper's connection: %s", error)
                self._drop()
            except Exception:
                # Without this thread the lease would end while the lock is held.
                logger.exception("The keeper of this worker met an error and goes on")
                self._drop()

    def _tick(self) -> None:
        connection = self._open()
        self.questions.take()
        self._show_shape(connection)
        self.questions.write(connection)
        reading = self._report.read()
        if (reading.quiet, reading.key) != self._told:
            self._schedule.soon("beat")
        if self._schedule.due("beat", self._beat_every) and not self._beat(connection, reading):
            self._schedule.soon("beat")
            return
        self._missed.look(connection, self._worker_id, self._options.database)
        if self._may_rescue():
            everywhere = self._schedule.due("orphans", ORPHANS_EVERY)
            self.rescue.look(connection, self._worker_id, everywhere=everywhere)
        if self._schedule.due("blocked", UNBLOCK_EVERY):
            self._unblocking.look(connection)
        if self._schedule.due("tally", TALLY_EVERY):
            self._tally.write(connection)
        if self._gauge.is_due:
            self._gauge.look(connection, {*(self._shape.queues or ()), *self._tally.queues_seen()})
        if not self._beats and self._schedule.due("periodic", PERIODIC_EVERY):
            self._look_for_schedules(connection)
        self._housekeeping.tidy(connection)

    def _look_for_schedules(self, connection: psycopg.Connection[Any]) -> None:
        """Begin to beat when there is a schedule; a worker without any has no process for it."""
        row = connection.execute(HAS_SCHEDULES).fetchone()
        if row is not None and row[0]:
            self._beats = True
            self._begin_beat()

    def _beat(self, connection: psycopg.Connection[Any], reading: Reading) -> bool:
        """Renew the lease; False if others have given this worker up."""
        measured = self._schedule.due("memory", MEMORY_EVERY)
        memory = held_by(self._report.pids()) if measured else None
        began = time.monotonic()
        row = connection.execute(
            BEAT,
            {
                "worker": self._worker_id,
                "quiet": reading.quiet,
                "busy": reading.busy,
                "running": reading.running,
                "memory": memory,
            },
        ).fetchone()
        if row is None:
            self._given_up()
            return False
        self.renewed_at = began
        self._told = (reading.quiet, reading.key)
        signals.heartbeat_sent.emit(None)
        if row[0] != self._orders:
            self._pass_on(connection, row[0])
        if row[1]:
            self.questions.read(connection, self._worker_id)
        limits = connection.execute(LIMITS).fetchall()
        if limits != self._limits:
            self.rates.set((name, rate) for name, _, _, rate in limits)
            self._limit([row[:3] for row in limits])
            self._limits = limits
        return True

    def _show_shape(self, connection: psycopg.Connection[Any]) -> None:
        """Have the row say which queues are served and how many tasks are run at once."""
        shape = self._shape
        version = shape.version
        if version == self._shown:
            return
        connection.execute(
            RESHAPE,
            {
                "worker": self._worker_id,
                "concurrency": shape.concurrency,
                "queues": None if shape.queues is None else list(shape.queues),
                "excluded": list(shape.excluded_queues),
            },
        )
        self._shown = version
        # What was enqueued before that to a queue that is new here has woken nobody.
        self._obey(Orders(look=True))

    def _pass_on(self, connection: psycopg.Connection[Any], text: str) -> None:
        """Give orders to the parent, for which it is no harm to be told twice."""
        orders = Orders.parse(text) if text else Orders()
        self._obey(orders)
        left = orders.standing
        if left != text:
            # Above all tasks to terminate: the same one may run again.
            cursor = connection.execute(
                OBEYED, {"worker": self._worker_id, "orders": text, "left": left}
            )
            if not cursor.rowcount:
                self.stir()
                return
        self._orders = left

    def _may_rescue(self) -> bool:
        """After a loss of the database the others get as long as a lease to come back."""
        patience = self._lease + CONNECT_TIMEOUT + TICK
        return not self._reconnected or time.monotonic() - self._connected_at > patience

    def _open(self) -> psycopg.Connection[Any]:
        if self._connection is not None and not self._connection.closed:
            return self._connection
        params = parameters(self._options.database)
        params.setdefault("application_name", f"djtasks keeper {self._options.hostname}"[:63])
        params.setdefault("connect_timeout", 5)
        connection: psycopg.Connection[Any] = psycopg.connect(**params, autocommit=True)
        connection.prepare_threshold = None
        connection.adapters.register_loader("uuid", RawUUID)
        connection.adapters.register_loader("uuid", RawTextUUID)
        self._reconnected = self._connected_at > 0
        self._connected_at = time.monotonic()
        self._connection = connection
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
