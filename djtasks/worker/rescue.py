"""What becomes of the messages of workers that are gone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from psycopg.rows import tuple_row

from djtasks.conf import conf
from djtasks.exceptions import WorkerLostError
from djtasks.execution.lost import Cause, Verdict, verdict
from djtasks.queue.attempts import lost_members
from djtasks.queue.claim import deliveries, taking
from djtasks.queue.sql import load
from djtasks.registry import registry
from djtasks.worker.losses import acknowledgement
from djtasks.worker.session import LOCK_CLASS

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from djtasks.queue.delivery import Delivery

logger = logging.getLogger("djtasks.worker")

DEAD_WORKERS = load("dead_workers")
ORPHANS = load("orphans")
ADOPT = taking("adopt")
RELEASE = load("release")
WAKE = load("wake")

Losses = list[tuple["Delivery", str]]


class Rescue:
    """Gives back the messages of dead workers, or takes them over.

    ``adopt`` is given, from the caller's thread, messages of dead workers whose end is to be
    recorded.
    """

    def __init__(self, adopt: Callable[[Losses], None]) -> None:
        self._adopt = adopt
        self._adopting: set[str] = set()
        self._unheard: tuple[set[int], dict[bytes, str]] | None = None

    def adopting(self) -> list[str]:
        """Ids of messages that are being taken over and are not in the parent's hands yet."""
        return list(self._adopting)

    def adopted(self, losses: Losses) -> None:
        """The parent has taken these in its care."""
        self._adopting -= {delivery.id.hex() for delivery, _verdict in losses}

    def look(
        self, connection: psycopg.Connection[Any], worker_id: int, *, everywhere: bool
    ) -> None:
        """Look for dead workers, and ``everywhere`` for claims of workers without a row.

        ``worker_id`` is who takes messages over. Raises ``psycopg.Error``.
        """
        self._hear(connection, worker_id)
        with connection.transaction():
            dead = connection.execute(DEAD_WORKERS, {"lock_class": LOCK_CLASS}).fetchall()
            if not dead and not everywhere:
                return
            ids = [row[0] for row in dead]
            for _id, hostname in dead:
                logger.warning("Worker %s is gone; rescuing its tasks", hostname)
            orphans = connection.execute(ORPHANS, {"dead": ids}).fetchall()
            released, losses = self._sort(orphans)
            for owner, items in released.items():
                self._release(connection, owner, items)
            adopted = []
            if losses:
                self._adopting |= {id.hex() for id in losses}
                owners = {row[2] for row in orphans}
                self._unheard = ({worker_id, *owners}, losses)
                adopted = self._take_over(connection, worker_id, losses, owners)
            connection.execute("DELETE FROM djtasks_worker WHERE id = ANY (%s)", (ids,))
        # At once: they are this worker's now, and nobody else looks for them.
        self._unheard = None
        if adopted:
            self._adopt(adopted)
        for queue in sorted({row[5] for row in orphans}):
            # Idle workers, this one among them, are not waiting for these.
            connection.execute(WAKE, {"channel": "djtasks_wake", "queue": queue})
        if released or adopted:
            logger.warning(
                "Rescued tasks: %d given back to their queues, %d ended",
                sum(len(items) for items in released.values()),
                len(adopted),
            )

    def _hear(self, connection: psycopg.Connection[Any], worker_id: int) -> None:
        """Find out what became of a rescue whose commit was not heard of."""
        if self._unheard is None:
            return
        # That commit may be under way still. Whoever has the messages by then, this worker or those
        # that are gone: the verdict on them stands.
        owners, losses = self._unheard
        with connection.transaction():
            adopted = self._take_over(connection, worker_id, losses, owners)
        self._unheard = None
        found = {delivery.id for delivery, _verdict in adopted}
        # Of the others it is as if nothing had been tried: they are looked for like all.
        self._adopting -= {id.hex() for id in losses if id not in found}
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
        told = lost_members(WorkerLostError("The worker that ran it is gone."))
        items = ",".join(
            f'{{"id":"{id.hex()}","owner":{owner},"deliveries":1,"delay":0,{told}}}' for id in ids
        )
        connection.execute(RELEASE, {"outcomes": f"[{items}]"})

    @staticmethod
    def _take_over(
        connection: psycopg.Connection[Any],
        worker_id: int,
        losses: dict[bytes, str],
        owners: set[int],
    ) -> Losses:
        """Make messages of these owners the worker's own, with the verdict on each."""
        cursor = connection.cursor(binary=True, row_factory=tuple_row)
        ids = [id.hex() for id in losses]
        cursor.execute(ADOPT, {"worker": worker_id, "ids": ids, "owners": list(owners)})
        return [(delivery, losses[delivery.id]) for delivery in deliveries(cursor.fetchall())]
