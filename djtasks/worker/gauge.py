"""How long queues are: looked at by one of the workers once a minute, for the charts."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any, Final

import psycopg

from djtasks.queue.sql import load
from djtasks.worker.schedule import Schedule
from djtasks.worker.session import LOCK_CLASS, plan_by_index
from djtasks.worker.tally import SPANS

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger("djtasks.worker")

SEE_QUEUES = load("see_queues")
DEPTH = load("depth")

MOST_COUNTED: Final = 10_000
"""Messages of a queue that are counted; more are not told apart."""

PATIENCE: Final = 1000
"""Milliseconds that one look may take: the heartbeat waits for it."""

SPREAD: Final = 10.0
"""Seconds after the full minute by which all workers have looked."""


class Gauge:
    """Notes which queues there are, and how many messages are ready in each.

    It follows the database's clock, so that no minute is left out.
    """

    def __init__(self) -> None:
        self._schedule = Schedule()
        self._offset = random.uniform(0.0, SPREAD)

    @property
    def is_due(self) -> bool:
        """Whether it is time to look."""
        return self._schedule.due("look", SPANS[0])

    def look(self, connection: psycopg.Connection[Any], queues: Iterable[str]) -> None:
        """Look once; ``queues`` are those that this worker serves or has met.

        Raises ``psycopg.Error`` if the connection is lost.
        """
        try:
            with connection.transaction():
                plan_by_index(connection)
                connection.execute(f"SET LOCAL statement_timeout = {PATIENCE}")
                connection.execute(SEE_QUEUES, {"queues": sorted(set(queues))})
                connection.execute(
                    DEPTH,
                    {"lock_class": LOCK_CLASS, "most": MOST_COUNTED, "spans": list(SPANS)},
                )
                row = connection.execute(
                    "SELECT %(span)s - extract(epoch FROM now())::float8::numeric %% %(span)s",
                    {"span": SPANS[0]},
                ).fetchone()
        except psycopg.Error as error:
            if connection.closed:
                raise
            # A chart with a gap is better than a lease that ends.
            logger.info("The lengths of the queues could not be noted: %s", error)
            return
        if row is not None:
            self._schedule.later("look", float(row[0]) + self._offset)
