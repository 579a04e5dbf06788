"""How many tasks a worker that scales itself should run at once; no I/O."""

from __future__ import annotations

import os

KEEPALIVE = 30.0
"""Seconds for which places must be idle before they are given up, as in Celery."""

LOOK_EVERY = 1.0
"""Seconds between two looks."""


def keepalive() -> float:
    """Seconds: ``AUTOSCALE_KEEPALIVE`` of the environment, as in Celery, or :data:`KEEPALIVE`."""
    try:
        return max(0.1, float(os.environ["AUTOSCALE_KEEPALIVE"]))
    except (KeyError, ValueError):
        return KEEPALIVE


class Autoscaler:
    """Grows twofold while all places are busy, and shrinks to what was needed lately."""

    def __init__(self, keep: float | None = None) -> None:
        self._keep = keepalive() if keep is None else keep
        self._looked = float("-inf")
        self._since: float | None = None
        self._needed = 0

    def size(self, now: float, size: int, busy: int, most: int, fewest: int) -> int:
        """How many places there should be; ``now`` in seconds of the monotonic clock.

        ``busy``: how many of the ``size`` places hold messages.
        """
        if size > most or size < fewest:
            # Somebody set other bounds.
            return min(most, max(fewest, size))
        if now - self._looked < LOOK_EVERY:
            self._needed = max(self._needed, busy)
            return size
        self._looked = now
        self._needed = max(self._needed, busy)
        if busy >= size:
            self._start(now)
            return min(most, 2 * size)
        if self._since is None:
            self._start(now)
        elif now - self._since >= self._keep:
            needed = max(fewest, min(size, self._needed))
            self._start(now)
            self._needed = busy
            return needed
        return size

    def _start(self, now: float) -> None:
        self._since = now
        self._needed = 0
