"""Counting what ended: by queue and task, in numbers that stay few however many tasks there are."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import psycopg

from djtasks import states
from djtasks.browser.runtimes import class_of
from djtasks.queue.outcome import Disposal
from djtasks.queue.sql import load
from djtasks.worker.session import plan_by_index

if TYPE_CHECKING:
    from collections.abc import Iterable

    from djtasks.queue.outcome import Outcome

logger = logging.getLogger("djtasks.worker")

TALLY = load("tally")

SPANS: Final = (60, 600, 3600)
"""Seconds for which counts are added up."""

SUCCEEDED, FAILED, RETRIED, NEITHER = range(4)

UNTIMED: Final = -1
"""The class of a run whose run time nobody knows."""

Mark = tuple[int, int, float]
"""How a run ended, the class of its run time, and the run time in seconds."""

Counts = dict[tuple[str, str], "Count"]

_KINDS = {states.SUCCESS: SUCCEEDED, states.FAILURE: FAILED}
_END, _ENDED, _RETRY = Disposal.END, Disposal.ENDED, Disposal.RETRY


def mark(outcome: Outcome) -> Mark | None:
    """What an outcome counts as; None if it is neither an end nor a retry.

    Made by the child that ran the task, so that the parent only has to add.
    """
    disposal = outcome.disposal
    if disposal is _RETRY or outcome.again is not None:
        kind = RETRIED
    elif disposal is _END or disposal is _ENDED:
        kind = _KINDS.get(outcome.state, NEITHER)
    else:
        return None
    if kind == NEITHER:
        return None
    runtime = outcome.runtime
    return (kind, UNTIMED, 0.0) if runtime is None else (kind, class_of(runtime), runtime)


class Count:
    """What became of the runs of one task from one queue."""

    __slots__ = ("ends", "longest", "runtimes")

    def __init__(self) -> None:
        self.ends = [0, 0, 0]
        self.longest = 0.0
        self.runtimes: dict[int, int] = {}

    def add(self, other: Count) -> None:
        """Add what another one has counted."""
        self.ends = [ours + theirs for ours, theirs in zip(self.ends, other.ends, strict=True)]
        self.longest = max(self.longest, other.longest)
        for number, count in other.runtimes.items():
            self.runtimes[number] = self.runtimes.get(number, 0) + count


class Tally:
    """Counts in the parent's thread, and writes in the keeper's.

    What could not be written is kept, by the minute in which it was counted.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._counts: Counts = {}
        self._kept: dict[int, Counts] = {}
        self._totals: Counter[str] = Counter()
        self._queues: set[str] = set()
        self._told = False

    def add(self, runs: Iterable[tuple[str, str, Mark]]) -> None:
        """Count runs, by the queue and the task of each.

        Every task comes by here: it is meant to cost well below a microsecond.
        """
        last_queue = last_task = count = None
        with self._guard:
            for queue, task, (kind, number, seconds) in runs:
                if count is None or task != last_task or queue != last_queue:
                    # Mostly it is the one before; the hash of a fresh string is not known yet.
                    last_queue, last_task = queue, task
                    count = self._counts.get((queue, task))
                    if count is None:
                        count = self._counts[queue, task] = Count()
                count.ends[kind] += 1
                if number >= 0:
                    runtimes = count.runtimes
                    runtimes[number] = runtimes.get(number, 0) + 1
                    if seconds > count.longest:
                        count.longest = seconds

    def totals(self) -> dict[str, int]:
        """How many runs of each task have been counted since the worker's start."""
        with self._guard:
            return dict(self._totals + _by_task(self._counts))

    def queues_seen(self) -> set[str]:
        """The queues that something came from since the last call of this."""
        seen, self._queues = self._queues, set()
        return seen

    def write(self, connection: psycopg.Connection[Any]) -> None:
        """Write what was counted. Raises ``psycopg.Error`` if the connection is lost."""
        now = time.monotonic()
        self._put_by(now)
        for minute in list(self._kept):
            counts = self._kept[minute]
            try:
                with connection.transaction():
                    plan_by_index(connection)
                    connection.execute(
                        TALLY,
                        {
                            "spans": list(SPANS),
                            "age": now - min(now, (minute + 1) * 60.0),
                            "counts": _rows(counts),
                        },
                    )
            except psycopg.Error as error:
                if connection.closed:
                    raise
                # Whatever it is, what a worker lives by does not wait for it.
                if not self._told:
                    self._told = True
                    logger.warning("What ended could not be counted, and is kept: %s", error)
                return
            del self._kept[minute]
        self._told = False

    def _put_by(self, now: float) -> None:
        with self._guard:
            counts, self._counts = self._counts, {}
            self._totals.update(_by_task(counts))
        if not counts:
            return
        self._queues.update(queue for queue, _task in counts)
        kept = self._kept.setdefault(int(now // 60), {})
        for key, count in counts.items():
            kept.setdefault(key, Count()).add(count)


def _by_task(counts: Counts) -> Counter[str]:
    found: Counter[str] = Counter()
    for (_queue, task), count in counts.items():
        found[task] += sum(count.ends)
    return found


def _rows(counts: Counts) -> str:
    """The parameter of ``tally.sql``: JSON."""
    return json.dumps(
        [
            {
                "queue": queue,
                "task": task,
                "succeeded": count.ends[SUCCEEDED],
                "failed": count.ends[FAILED],
                "retried": count.ends[RETRIED],
                "longest": count.longest,
                "runtimes": count.runtimes,
            }
            for (queue, task), count in counts.items()
        ],
        separators=(",", ":"),
    )
