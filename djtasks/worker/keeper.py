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
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.adapt import Loader
from psycopg.rows import tuple_row

from djtasks import __version__, signals
from djtasks.conf import conf
from djtasks.execution.lost import Cause, Verdict, verdict
from djtasks.queue.claim import deliveries
from djtasks.queue.connect import parameters
from djtasks.queue.finish import TELL_WAITERS
from djtasks.queue.sql import load
from djtasks.queue.stuck import end_stuck
from djtasks.registry import registry
from djtasks.worker.losses import acknowledgement
from djtasks.worker.session import CONNECT_TIMEOUT, LOCK_CLASS, PLANNER, RawUUID

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg.abc import Buffer

    from djtasks.queue.delivery import Delivery
    from djtasks.worker.options import WorkerOptions

logger = logging.getLogger("djtasks.worker")

TICK = 1.0
"""Seconds between two looks for dead workers."""

PRUNE_EVERY = 60.0
PRUNE_BATCH = 1000
PRUNE_SECONDS = 0.5
"""Seconds that one tick may spend on deleting expired results."""

ORPHANS_EVERY = 60.0
SWEEP_EVERY = 300.0
LEFTOVERS_EVERY = 3600.0

BEAT = load("beat")
DEAD_WORKERS = load("dead_workers")
ORPHANS = load("orphans")
ADOPT = load("adopt")
RELEASE = load("release")
WAKE = load("wake")
PRUNE = load("prune")
PRUNE_GROUPS = load("prune_groups")
SWEEP_WAITERS = load("sweep_waiters")
SWEEP_PAYLOADS = load("sweep_payloads")
SWEEP_STATES = load("sweep_states")

_REGISTER = """
INSERT INTO djtasks_worker
    (hostname, pid, pool, concurrency, queues, excluded_queues, version, lease, locked,
     wants_work)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, false)
RETURNING id
"""


class RawTextUUID(Loader):
    """UUIDs in text results as their 16 bytes, like :class:`RawUUID` in binary ones."""

    def load(self, data: Buffer) -> bytes:
        """Return the bytes of the UUID."""
        return bytes.fromhex(bytes(data).decode().replace("-", ""))


Losses = list[tuple["Delivery", str]]


class Keeper(threading.Thread):
    """Keeps the worker's row alive and rescues the messages of those whose row is not.

    ``adopt`` is given messages of dead workers whose end is to be recorded, ``given_up`` is
    called when others have given this worker up; both from this thread.
    """

    def __init__(
        self,
        options: WorkerOptions,
        adopt: Callable[[Losses], None],
        given_up: Callable[[], None],
    ) -> None:
        super().__init__(name="djtasks-keeper", daemon=True)
        self._options = options
        self._adopt = adopt
        self._given_up = given_up
        self._stop_asked = threading.Event()
        self._guard = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._connected_at = 0.0
        self._reconnected = False
        self._worker_id = 0
        self._lease = conf.LEASE
        self._next: dict[str, float] = {}
        self._adopting: set[str] = set()
        self.renewed_at = time.monotonic()

    # --- called by the parent --------------------------------------------------------------

    def register(self, *, locked: bool) -> int:
        """Write this worker's row and return its id, which is new each time.

        ``locked`` says that the worker's session can hold a lock; one that cannot has a longer
        lease. Raises ``psycopg.Error``.
        """
        options = self._options
        lease = float(conf.LEASE if locked else conf.POOLED_LEASE)
        began = time.monotonic()
        with self._guard:
            row = (
                self._open()
                .execute(
                    _REGISTER,
                    (
                        options.hostname,
                        os.getpid(),
                        options.pool,
                        options.concurrency,
                        None if options.queues is None else list(options.queues),
                        list(options.excluded_queues),
                        __version__,
                        lease,
                        locked,
                    ),
                )
                .fetchone()
            )
        self._worker_id = row[0] if row else 0
        self._lease = lease
        self.renewed_at = began
        return self._worker_id

    def holds_lease(self) -> bool:
        """Whether nobody can have given this worker up yet.

        One heartbeat before the lease runs out it is over for us: work that begins then may be
        given to another before the next renewal.
        """
        margin = min(1.0, self._lease / 4)
        return time.monotonic() - self.renewed_at < self._lease - margin

    def adopting(self) -> list[str]:
        """Ids of messages that are being taken over and are not in the parent's hands yet."""
        return list(self._adopting)

    def adopted(self, losses: Losses) -> None:
        """The parent has taken these in its care."""
        self._adopting -= {delivery.id.hex() for delivery, _verdict in losses}

    def stop(self) -> None:
        """Take the worker's row away and end."""
        self._stop_asked.set()
        self.join(10)
        with suppress(psycopg.Error), self._guard:
            self._open().execute("DELETE FROM djtasks_worker WHERE id = %s", (self._worker_id,))
        self._drop()

    # --- the thread ------------------------------------------------------------------------

    def run(self) -> None:
        """Renew, rescue and tidy until told to stop."""
        while not self._stop_asked.wait(TICK):
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
        if self._due("beat", conf.HEARTBEAT_INTERVAL) and not self._beat(connection):
            self._next.pop("beat", None)
            return
        if self._may_rescue():
            self._rescue(connection)
        if self._due("prune", PRUNE_EVERY):
            self._prune(connection)
        if self._due("waiters", SWEEP_EVERY):
            connection.execute(SWEEP_WAITERS)
        if self._due("leftovers", LEFTOVERS_EVERY):
            connection.execute(SWEEP_PAYLOADS)
            self._end_stuck(connection)
            if age := _result_age():
                connection.execute(SWEEP_STATES, {"age": age})

    def _beat(self, connection: psycopg.Connection[Any]) -> bool:
        """Renew the lease; False if others have given this worker up."""
        began = time.monotonic()
        if connection.execute(BEAT, {"worker": self._worker_id}).fetchone() is None:
            self._given_up()
            return False
        self.renewed_at = began
        signals.heartbeat_sent.emit(None)
        return True

    def _due(self, what: str, interval: float) -> bool:
        now = time.monotonic()
        if now < self._next.get(what, 0.0):
            return False
        self._next[what] = now + interval
        return True

    def _may_rescue(self) -> bool:
        """After a loss of the database the others get as long as a lease to come back."""
        patience = self._lease + CONNECT_TIMEOUT + TICK
        return not self._reconnected or time.monotonic() - self._connected_at > patience

    def _rescue(self, connection: psycopg.Connection[Any]) -> None:
        look_everywhere = self._due("orphans", ORPHANS_EVERY)
        with connection.transaction():
            dead = connection.execute(DEAD_WORKERS, {"lock_class": LOCK_CLASS}).fetchall()
            if not dead and not look_everywhere:
                return
            ids = [row[0] for row in dead]
            for _id, hostname in dead:
                logger.warning("Worker %s is gone; rescuing its tasks", hostname)
            orphans = connection.execute(ORPHANS, {"dead": ids}).fetchall()
            released, losses = self._sort(orphans)
            for owner, items in released.items():
                self._release(connection, owner, items)
            self._adopting |= {id.hex() for id in losses}
            adopted = self._take_over(connection, losses)
            connection.execute("DELETE FROM djtasks_worker WHERE id = ANY (%s)", (ids,))
        for queue in sorted({row[5] for row in orphans}):
            # Idle workers, this one among them, are not waiting for these.
            connection.execute(WAKE, {"channel": "djtasks_wake", "queue": queue})
        if released or adopted:
            logger.warning(
                "Rescued tasks: %d given back to their queues, %d ended",
                sum(len(items) for items in released.values()),
                len(adopted),
            )
        if adopted:
            self._adopt(adopted)

    @staticmethod
    def _sort(rows: list[tuple[Any, ...]]) -> tuple[dict[int, list[bytes]], dict[bytes, str]]:
        """Which messages go back, by owner, and which are to end, with the verdict on each."""
        released: dict[int, list[bytes]] = {}
        losses: dict[bytes, str] = {}
        for id, task, owner, lost_deliveries, retries, _queue, age in rows:
            if task not in registry and age < conf.UNKNOWN_TASK_TIMEOUT:
                # Whether it may run again only a worker can tell that knows the task.
                continue
            decided = verdict(acknowledgement(task), Cause.WORKER, lost_deliveries, retries)
            if decided is Verdict.REDELIVER:
                released.setdefault(owner, []).append(id)
            else:
                losses[id] = decided.value
        return released, losses

    @staticmethod
    def _release(connection: psycopg.Connection[Any], owner: int, ids: list[bytes]) -> None:
        items = ",".join(
            f'{{"id":"{id.hex()}","owner":{owner},"deliveries":1,"delay":0}}' for id in ids
        )
        connection.execute(RELEASE, {"outcomes": f"[{items}]"})

    def _take_over(self, connection: psycopg.Connection[Any], losses: dict[bytes, str]) -> Losses:
        if not losses:
            return []
        cursor = connection.cursor(binary=True, row_factory=tuple_row)
        cursor.execute(ADOPT, {"worker": self._worker_id, "ids": [id.hex() for id in losses]})
        return [(delivery, losses[delivery.id]) for delivery in deliveries(cursor.fetchall())]

    def _prune(self, connection: psycopg.Connection[Any]) -> None:
        """Delete expired results, in batches between which others have their turn."""
        age = _result_age()
        if age:
            connection.execute(PRUNE_GROUPS, {"age": age, "limit": PRUNE_BATCH})
        ends = time.monotonic() + PRUNE_SECONDS
        while age and time.monotonic() < ends and not self._stop_asked.is_set():
            with connection.transaction():
                for name, value in PLANNER:
                    connection.execute("SELECT set_config(%s, %s, true)", (name, value))
                row = connection.execute(PRUNE, {"age": age, "limit": PRUNE_BATCH}).fetchone()
            if row is None or row[0] < PRUNE_BATCH:
                return
        # There is more: go on at the next tick, after the heartbeat.
        self._next.pop("prune", None)

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


def _result_age() -> float | None:
    """Seconds after which results are deleted; None or 0: never."""
    expires: float | timedelta | None = conf.RESULT_EXPIRES
    return expires.total_seconds() if isinstance(expires, timedelta) else expires
