"""How long tasks take, and so how many a child may be given ahead."""

from __future__ import annotations

CHUNK_SECONDS = 0.02
"""The work that one chunk is to hold, in seconds of recent run time."""

CHUNK_MESSAGES = 200
"""The most messages in one chunk."""

CHUNK_BYTES = 1_000_000
"""The most bytes of arguments in one chunk."""

_WEIGHT = 0.3


class Pace:
    """Recent averages of run time and size over what this worker has run."""

    def __init__(self, prefetch: int | None = None) -> None:
        self._prefetch = prefetch
        self._seconds: float | None = None
        self._bytes = 0.0

    def learn(self, runs: list[tuple[float, int]]) -> None:
        """Take note of some runs: seconds, bytes of arguments."""
        if not runs:
            return
        seconds = sum(run[0] for run in runs) / len(runs)
        size = sum(run[1] for run in runs) / len(runs)
        before = self._seconds
        self._seconds = seconds if before is None else before + (seconds - before) * _WEIGHT
        self._bytes += (size - self._bytes) * _WEIGHT

    def ahead(self) -> int:
        """How many messages one slot of a child may hold: one chunk that runs, one that waits."""
        if self._prefetch is not None:
            return self._prefetch
        if self._seconds is None:
            return 1
        messages = CHUNK_SECONDS / max(self._seconds, 1e-6)
        if self._bytes:
            messages = min(messages, CHUNK_BYTES / self._bytes)
        chunk = min(CHUNK_MESSAGES, int(messages))
        return 1 if chunk <= 1 else 2 * chunk
