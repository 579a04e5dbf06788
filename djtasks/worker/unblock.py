"""Whoever is blocked though there is room: let through by a look now and then.

The end of a task lets the next one of its lane through. It does not where the end is nobody's: a
worker that died in between, a message that was revoked, purged or deleted by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from djtasks.lanes import RATE
from djtasks.queue.admit import ADMIT, BLOCKING, admission
from djtasks.queue.sql import load
from djtasks.registry import registry
from djtasks.worker.admission import Admission

if TYPE_CHECKING:
    import psycopg

WAKE = load("wake")
OPEN_LATE = load("open_late")

EVERY = 2.0
"""Seconds between two looks."""

AT_ONCE = 200
"""How many lanes one look is about; the next one goes on from there."""


class Unblocking:
    """Remembers how far the last look has come."""

    def __init__(self) -> None:
        self._admission = Admission()
        self._after = ""

    def look(self, connection: psycopg.Connection[Any]) -> None:
        """Let through those for whom there is room. Raises ``psycopg.Error``."""
        rows = connection.execute(BLOCKING, {"after": self._after, "limit": AT_ONCE}).fetchall()
        self._after = rows[-1][0] if len(rows) == AT_ONCE else ""
        rates = [gate for gate, _ in rows if gate.startswith(RATE)]
        # Places are known of tasks that are known; others are for workers that know them.
        lanes = {
            gate: self._admission.size_of(gate, task)
            for gate, task in rows
            if not gate.startswith(RATE) and task in registry
        }
        if rates:
            connection.execute(OPEN_LATE, {"names": rates})
        if lanes:
            parameters = admission(0, (), lanes, patient=False)
            row = connection.execute(ADMIT, parameters).fetchone()
            for queue in row[2] if row else ():
                connection.execute(WAKE, {"channel": "djtasks_wake", "queue": queue})
