"""The worker's connection: one round trip a turn, and how it comes back after a loss."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from djtasks.conf import conf
from djtasks.queue.admit import ADMIT, GIVEN, OPEN, Admitted
from djtasks.queue.arrays import texts
from djtasks.queue.claim import CLAIM, FAIR, deliveries
from djtasks.queue.connect import is_pooled, parameters
from djtasks.queue.feeding import FAIL
from djtasks.queue.finish import TELL_WAITERS, news
from djtasks.queue.sql import load
from djtasks.worker.orders import CHANNEL
from djtasks.worker.pipeline import PipelineConnection, RawUUID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from djtasks.queue.delivery import Delivery
    from djtasks.worker.turn import Turn

logger = logging.getLogger("djtasks.worker")

LOCK_CLASS = 0x646A7461
"""The first key of the advisory locks that workers hold; the second is the worker's id."""

LOCK_PATIENCE = 2.0
"""Seconds for which the worker's own lock is tried for."""

CONNECT_TIMEOUT = 5
"""Seconds that one attempt to connect may take."""

PROMOTE = load("promote")
NEXT_DUE = load("next_due")
READY_QUEUES = load("ready_queues")
WAKE = load("wake")
BLOCKED_HERE = load("blocked_here")
WANT_WORK = load("want_work")
RELEASE_STRAYS = load("release_strays")

PLANNER = (
    # Rows are found by index whatever the statistics say, which on a table that is empty one
    # moment and holds a million rows the next are always out of date.
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    # A row that somebody else has locked must not hold up all others.
    ("lock_timeout", "200ms"),
)


def plan_by_index(connection: psycopg.Connection[Any]) -> None:
    """Have a transaction find rows by index, and wait for no lock, as :data:`PLANNER` says."""
    for name, value in PLANNER:
        connection.execute("SELECT set_config(%s, %s, true)", (name, value))


class Ruling(NamedTuple):
    """What came of an admission; ``given`` are messages that were claimed with it."""

    admitted: Admitted
    given: list[Delivery]


class Session:
    """A connection that listens, holds the worker's lock and carries its turns."""

    def __init__(self, alias: str, hostname: str, on_notify: Callable[[str, str], None]) -> None:
        self._on_notify = on_notify
        self._params = parameters(alias)
        self._params.setdefault("application_name", f"djtasks {hostname}"[:63])
        self._params.setdefault("connect_timeout", CONNECT_TIMEOUT)
        self.hostname = hostname
        self.connection: psycopg.AsyncConnection[Any] | None = None
        self.pooled = False
        self.listens = False
        self.locked = False
        self.server_version = ""

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that may work."""
        return self.connection is not None and not self.connection.closed

    def fileno(self) -> int | None:
        """The connection's file descriptor, or None without a connection."""
        return self.connection.fileno() if self.is_open and self.connection else None

    def forget(self) -> None:
        """Drop a connection that is known to be lost."""
        if self.connection is not None:
            self.connection.pgconn.finish()
            self.connection = None

    async def connect(self) -> None:
        """Open the connection and prepare it. Raises ``psycopg.OperationalError``."""
        connection: psycopg.AsyncConnection[Any] = await asyncio.wait_for(
            PipelineConnection.connect(**self._params, autocommit=True), CONNECT_TIMEOUT + 1
        )
        try:
            connection.adapters.register_loader("uuid", RawUUID)
            cursor = await connection.execute(
                "SELECT pg_backend_pid(), current_setting('server_version')"
            )
            row = await cursor.fetchone()
            pid, self.server_version = row if row else (0, "")
            self.pooled = conf.LISTEN is False or (
                conf.LISTEN is None and is_pooled(connection, pid)
            )
            # A pooler may give each transaction another session: nothing can be kept in one.
            connection.prepare_threshold = None if self.pooled else 5
            self.listens = not self.pooled
            self.locked = False
            if self.listens:
                # Those that arrive during a turn come by this handler.
                connection.add_notify_handler(lambda n: self._on_notify(n.channel, n.payload))
                await self._prepare(connection)
        except BaseException:
            await connection.close()
            raise
        self.connection = connection

    @staticmethod
    async def _prepare(connection: psycopg.AsyncConnection[Any]) -> None:
        for name, value in PLANNER:
            await connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        await connection.execute(
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED"
        )
        # Have the server notice within seconds when this machine is gone, and free the lock.
        for name, seconds in (("idle", 5), ("interval", 5), ("count", 3)):
            await connection.execute(
                "SELECT set_config(%s, %s, false)", (f"tcp_keepalives_{name}", str(seconds))
            )
        await connection.execute("LISTEN djtasks_wake")
        await connection.execute("LISTEN djtasks_due")
        await connection.execute(f"LISTEN {CHANNEL}")

    def describe(self) -> str:
        """Which database it is: ``name on host``."""
        if self.connection is None:
            return "not connected"
        info = self.connection.info
        return f"{info.dbname} on {info.host or 'localhost'}"

    async def lock(self, worker_id: int) -> bool:
        """Take this worker's lock, which dies with the session; False while another holds it."""
        deadline = time.monotonic() + LOCK_PATIENCE
        while self.connection is not None and self.listens:
            cursor = await self.connection.execute(
                "SELECT pg_try_advisory_lock(%s, %s)", (LOCK_CLASS, worker_id)
            )
            row = await cursor.fetchone()
            self.locked = bool(row and row[0])
            if self.locked or time.monotonic() > deadline:
                break
            # The session before this one may still be ending, or a rescuer be looking.
            await asyncio.sleep(0.05)
        return self.locked

    async def release_strays(self, worker_id: int, held: list[str]) -> int:
        """Give back messages that are claimed for this worker and that it does not know of.

        A claim whose commit was not confirmed may have happened. Returns how many there were.
        """
        if self.connection is None:
            return 0
        cursor = await self.connection.execute(RELEASE_STRAYS, {"worker": worker_id, "held": held})
        return cursor.rowcount

    async def close(self) -> None:
        """Close the connection."""
        connection, self.connection = self.connection, None
        if connection is not None:
            await connection.close()

    def take_notifications(self) -> None:
        """Take the notifications that have arrived while no turn was under way.

        Raises ``psycopg.OperationalError`` if the connection is lost.
        """
        if self.connection is not None:
            pgconn = self.connection.pgconn
            pgconn.consume_input()
            while notify := pgconn.notifies():
                self._on_notify(bytes(notify.relname).decode(), bytes(notify.extra).decode())

    async def admit(self, parameters: dict[str, Any], worker_id: int) -> Ruling:
        """Let claimed messages through what limits them, in a transaction of its own.

        Raises ``psycopg.Error``; what was claimed is then as it was, or blocked.
        """
        row = await self._one(ADMIT, parameters)
        admitted = Admitted(*row)
        given: list[Delivery] = []
        if admitted.given:
            ids = f"{{{','.join(id.hex() for id in admitted.given)}}}"
            given = deliveries(await self._all(GIVEN, {"ids": ids, "worker": worker_id}))
        return Ruling(admitted, given)

    async def claim_in_turn(self, parameters: dict[str, Any]) -> tuple[list[Delivery], bool]:
        """Claim messages that stand in lines, in a transaction of its own.

        Returns them, and whether there are some of which others had locked the first. Raises
        ``psycopg.Error``; then nothing was claimed, or it is not known.
        """
        if self.pooled:
            rows = await self._all_by_index(FAIR, parameters)
        else:
            rows = await self._all(FAIR, parameters)
        claimed = [row for row in rows if row[0] is not None]
        return deliveries(claimed), len(claimed) < len(rows)

    async def open(self) -> tuple[list[str], float | None]:
        """Let messages go on that their rates allow by now.

        Returns the queues in which some became ready, and the seconds until the next may go, None
        if none waits for that. Raises ``psycopg.Error``.
        """
        ready, opens_in = await self._one(OPEN)
        return ready or [], opens_in

    async def is_blocked(
        self, queues: Sequence[str] | None, excluded: Sequence[str], tasks: Iterable[str]
    ) -> bool:
        """Whether limits hold up known tasks of these queues, or of all but the excluded ones.

        Raises ``psycopg.Error``.
        """
        (found,) = await self._one(
            BLOCKED_HERE,
            {
                "queues": None if queues is None else texts(queues),
                "excluded": texts(excluded),
                "tasks": texts(tasks),
            },
        )
        return bool(found)

    async def wake(self, queues: Iterable[str]) -> None:
        """Tell other workers that there is something ready in these queues."""
        for queue in queues:
            await self._one(WAKE, {"channel": "djtasks_wake", "queue": queue})

    async def _one(self, statement: str, parameters: dict[str, Any] | None = None) -> Any:
        return (await self._all(statement, parameters))[0]

    async def _all(self, statement: str, parameters: dict[str, Any] | None = None) -> list[Any]:
        connection = self.connection
        if connection is None or connection.closed:
            raise psycopg.OperationalError("the connection is closed")
        cursor = connection.cursor(binary=True)
        prepare = None if not self.pooled else False
        return await (await cursor.execute(statement, parameters, prepare=prepare)).fetchall()

    async def _all_by_index(self, statement: str, parameters: dict[str, Any]) -> list[Any]:
        """The rows of a statement, planned as those of a turn behind a pooler are."""
        connection = self.connection
        if connection is None or connection.closed:
            raise psycopg.OperationalError("the connection is closed")
        cursor = connection.cursor(binary=True)
        async with connection.pipeline():
            await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED", prepare=False)
            for name, value in PLANNER:
                await connection.execute(f"SET LOCAL {name} = '{value}'", prepare=False)
            await cursor.execute(statement, parameters, prepare=False)
            await connection.execute("COMMIT", prepare=False)
        return await cursor.fetchall()

    async def turn(self, turn: Turn, worker_id: int) -> None:
        """Write outcomes and claim, in one round trip and one transaction.

        Raises ``psycopg.Error``; nothing of the turn has happened then, or, if the connection
        was lost, all of it may have: writing it again does no harm.
        """
        connection = self.connection
        if connection is None or connection.closed:
            raise psycopg.OperationalError("the connection is closed")
        if turn.only_claims and not self.pooled:
            # An idle worker that was woken: one statement needs no pipeline, which costs 0.2 ms.
            cursor = await connection.cursor(binary=True).execute(CLAIM, turn.claim_of(worker_id))
            turn.claimed = deliveries(await cursor.fetchall())
            return
        telling: list[tuple[str, psycopg.AsyncCursor[Any], int]] = []
        doomed: list[str] = []
        later: set[str] = set()
        claim = due = queues = None
        batch = turn.batch
        prepare = None if not self.pooled else False

        async def send(sql: str, params: Any = None) -> psycopg.AsyncCursor[Any]:
            cursor = connection.cursor(binary=True)
            return await cursor.execute(sql, params, prepare=prepare)

        async with connection.pipeline() as pipeline:
            if self.pooled:
                await send("BEGIN ISOLATION LEVEL READ COMMITTED")
                for name, value in PLANNER:
                    await send(f"SET LOCAL {name} = '{value}'")
            for statement, params, expected in batch.statements(self.hostname):
                cursor = await send(statement, params)
                if expected or statement is FAIL:
                    telling.append((statement, cursor, expected))
            if turn.promote:
                await send(PROMOTE)
            if turn.limit:
                claim = await send(CLAIM, turn.claim_of(worker_id))
            if turn.wants_work is not None:
                await send(WANT_WORK, {"wants": turn.wants_work, "worker": worker_id})
            if turn.promote:
                due = await send(NEXT_DUE)
            if turn.queues is not None:
                queues = await send(READY_QUEUES)
            if self.pooled:
                await send("COMMIT")
            ended = batch.ended_ids()
            if ended or turn.filled_queues:
                # In a transaction of its own, after the commit: a waiter that leaves word now
                # sees the end, and one that did before is seen here.
                await pipeline.sync()
            if ended:
                # As text: psycopg's list of ids costs as much as the statement itself.
                await send(TELL_WAITERS, {"ids": f"{{{','.join(ended)}}}"})
            for queue in turn.filled_queues:
                await send(WAKE, {"channel": "djtasks_due", "queue": queue})
        for statement, cursor, expected in telling:
            heard = news(statement, await cursor.fetchone())
            turn.given_away += expected - heard.number
            turn.fed_queues.update(heard.ready)
            later.update(heard.later)
            doomed += heard.ended
        if claim is not None:
            turn.claimed = deliveries(await claim.fetchall())
        if due is not None:
            row = await due.fetchone()
            turn.next_due = row[0] if row else None
        if queues is not None:
            turn.queues = [row[0] for row in await queues.fetchall()]
        others = turn.fed_queues_for_others()
        if doomed or others or later:
            # What the turn did to those that wait is known only now; they are told last.
            async with connection.pipeline():
                if doomed:
                    await send(TELL_WAITERS, {"ids": f"{{{','.join(doomed)}}}"})
                for queue in others:
                    await send(WAKE, {"channel": "djtasks_wake", "queue": queue})
                for queue in sorted(later):
                    # To this worker too, if it is idle: it looks when the first of them is due.
                    await send(WAKE, {"channel": "djtasks_due", "queue": queue})
