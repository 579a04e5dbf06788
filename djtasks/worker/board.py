"""Memory that the parent and its children share: what each child runs, and since when.

A child writes here before it begins a message, so that the parent knows what a child was
running that was killed, and exactly one message is charged for it.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import time

SLOT = 16
"""Bytes of a slot: the token and the time, a machine word each."""


class Board:
    """One slot for each task that can run at once: the message's token and when it began."""

    def __init__(self, fd: int, slots: int) -> None:
        self.fd = fd
        self.slots = slots
        self._memory = mmap.mmap(fd, slots * SLOT)
        self._words = memoryview(self._memory).cast("Q")

    @classmethod
    def create(cls, slots: int) -> Board:
        """A new board in memory of its own."""
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("djtasks", 0)
        else:
            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
        os.ftruncate(fd, slots * SLOT)
        os.set_inheritable(fd, True)
        return cls(fd, slots)

    def begin(self, slot: int, token: int) -> None:
        """A child begins a message."""
        words = self._words
        words[2 * slot + 1] = time.monotonic_ns()
        # The token last: whoever sees it sees its time, for each word is stored at once.
        words[2 * slot] = token

    def end(self, slot: int) -> None:
        """A child has reported a message's outcome."""
        self._words[2 * slot] = 0

    def running(self, slot: int) -> tuple[int, float]:
        """The token of what runs in a slot (0: nothing) and for how many seconds."""
        words = self._words
        while True:
            token, since, again = words[2 * slot], words[2 * slot + 1], words[2 * slot]
            if token == again:
                return token, (time.monotonic_ns() - since) / 1e9 if token else 0.0

    def close(self) -> None:
        """Give the memory back."""
        self._words.release()
        self._memory.close()
        os.close(self.fd)
