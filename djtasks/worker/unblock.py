"""Whoever is blocked though there is room: let through by a look now and then.

The end of a task lets the next one of its lane through. It does not where the end is nobody's: a
worker that died in between, a message that was revoked, purged or deleted by hand. And what nobody
may claim for now, for its queue or its task is paused or nobody serves that, is put out of the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from djtasks.lanes import RATE
from djtasks.queue.admit import ADMIT, BLOCKING, admission
from djtasks.queue.sql import load
from djtasks.registry import registry
from djtasks.worker.admission import Admission
from djtasks.worker.rates import Rates

if TYPE_CHECKING:
    import psycopg

WAKE = load("wake")
OPEN_LATE = load("open_late")
UNGATE = load("ungate")
STAND_ASIDE = load("stand_aside")

EVERY = 2.0
"""Seconds between two looks."""

AT_ONCE = 200
"""How many lanes one look is about; the next one goes on from there."""

ASIDE = 5_000
"""Messages that one look looks at to let those go by which nobody may claim: 30 us each."""

MOST = 10_000
"""Messages that one look lets go for whose tasks there is no rate any more."""


class Unblocking:
    """Remembers how far the last look has come."""

    def __init__(self, rates: Rates | None = None) -> None:
        self._rates = rates or Rates()
        self._admission = Admission(self._rates)
        self._after = ""

    def look(self, connection: psycopg.Connection[Any]) -> None:
        """Let through those for whom there is room. Raises ``psycopg.Error``."""
        rows = connection.execute(BLOCKING, {"after": self._after, "limit": AT_ONCE}).fetchall()
        self._after = rows[-1][0] if len(rows) == AT_ONCE else ""
        queues: set[str] = set()
        parameters: dict[str, Any]
        stuck = [gate for gate, _, is_stuck in rows if is_stuck]
        if stuck:
            parameters = {"gates": stuck, "limit": ASIDE // len(stuck)}
            passed = connection.execute(STAND_ASIDE, parameters).fetchall()
            # Somebody may have begun to serve their queues meanwhile.
            queues.update(queue for (queue,) in passed)
        rates = {
            gate: self._rates.of(task)
            for gate, task, _ in rows
            if gate.startswith(RATE) and not self._is_gone(task)
        }
        gone = [gate for gate, task, _ in rows if gate.startswith(RATE) and self._is_gone(task)]
        # How many places there are is known of tasks that are known. Else there is one: somebody
        # must fail those of tasks that nobody knows any more, and others may be behind them.
        lanes = {
            gate: self._admission.size_of(gate, task) if task in registry else 1
            for gate, task, _ in rows
            if not gate.startswith(RATE)
        }
        if rates:
            parameters = {
                "names": list(rates),
                "intervals": [None if rate is None else rate.interval for rate in rates.values()],
                "bursts": [None if rate is None else rate.burst for rate in rates.values()],
            }
            connection.execute(OPEN_LATE, parameters)
        if gone:
            freed = connection.execute(UNGATE, {"gates": gone, "limit": MOST}).fetchall()
            queues.update(queue for (queue,) in freed)
        if lanes:
            parameters = admission(0, (), lanes, patient=False)
            row = connection.execute(ADMIT, parameters).fetchone()
            queues.update(row[2] if row else ())
        for queue in sorted(queues):
            connection.execute(WAKE, {"channel": "djtasks_wake", "queue": queue})

    def _is_gone(self, name: str) -> bool:
        """Whether a task that is known here has no rate, or none that is kept here."""
        return name in registry and self._rates.of(name) is None
