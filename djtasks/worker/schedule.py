"""What is done again and again, each at its own interval."""

from __future__ import annotations

import time


class Schedule:
    """When each of several things is to be done next; one that never was is due at once."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}

    def due(self, what: str, interval: float) -> bool:
        """Whether it is time for something; then the next time is ``interval`` seconds on."""
        now = time.monotonic()
        if now < self._next.get(what, 0.0):
            return False
        self._next[what] = now + interval
        return True

    def soon(self, what: str) -> None:
        """Let something be due at once."""
        self._next.pop(what, None)

    def later(self, what: str, seconds: float) -> None:
        """Let something be due in so many seconds, whatever its interval."""
        self._next[what] = time.monotonic() + seconds
