"""What of a worker changes while it runs: how many tasks at once, and which queues it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from djtasks.worker.board import CAPACITY

if TYPE_CHECKING:
    from collections.abc import Callable

    from djtasks.worker.options import WorkerOptions


class Shape:
    """Begins as the options say and is changed by the parent alone.

    ``version`` grows with each change: the keeper writes those to the worker's row. ``queues`` None
    serves all but ``excluded_queues``. ``autoscale`` is the most and the fewest tasks at once.
    """

    def __init__(self, options: WorkerOptions) -> None:
        self.pool = options.pool
        self.concurrency = options.concurrency
        self.queues = options.queues
        self.excluded_queues = options.excluded_queues
        self.autoscale = options.autoscale
        self.version = 0

    @property
    def processes(self) -> int:
        """How many child processes run tasks."""
        return self.concurrency if self.pool == "prefork" else 1

    @property
    def slots(self) -> int:
        """How many tasks one child runs at once."""
        return self.concurrency if self.pool == "threads" else 1

    def serves(self, queue: str) -> bool:
        """Whether messages are taken from a queue."""
        if self.queues is None:
            return queue not in self.excluded_queues
        return queue in self.queues

    def resize(self, concurrency: int) -> None:
        """Run so many tasks at once from now on. Raises :class:`ValueError` for what cannot be."""
        if self.pool == "solo":
            raise ValueError("The pool 'solo' runs one task at a time.")
        if not 1 <= concurrency <= CAPACITY:
            raise ValueError(f"A worker runs 1 to {CAPACITY} tasks at once, not {concurrency}.")
        if concurrency != self.concurrency:
            self.concurrency = concurrency
            self.version += 1

    def scale(self, most: int, fewest: int) -> None:
        """Run between these many at once. Raises :class:`ValueError` for what cannot be."""
        check_scale(most, fewest, self.pool, ValueError)
        self.autoscale = (most, fewest)

    def add_queue(self, queue: str) -> None:
        """Serve a queue."""
        if not self.serves(queue):
            if self.queues is None:
                self.excluded_queues = tuple(q for q in self.excluded_queues if q != queue)
            else:
                self.queues = (*self.queues, queue)
            self.version += 1

    def cancel_queue(self, queue: str) -> None:
        """Serve a queue no more."""
        if self.serves(queue):
            if self.queues is None:
                self.excluded_queues = (*self.excluded_queues, queue)
            else:
                self.queues = tuple(q for q in self.queues if q != queue)
            self.version += 1


def check_scale(most: int, fewest: int, pool: str, error: Callable[[str], Exception]) -> None:
    """Raise ``error`` for what no pool can be scaled between."""
    if pool == "solo":
        raise error("The pool 'solo' runs one task at a time: it cannot be scaled.")
    if not 1 <= fewest <= most <= CAPACITY:
        raise error(
            f"A worker is scaled between at least 1 and at most {CAPACITY} tasks at once, the most "
            f"first, as in 10,2; not {most},{fewest}."
        )
