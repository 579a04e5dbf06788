"""Memory that the parent and its children share: what each child runs, and since when.

A child writes here before it begins a message, so that the parent knows what a child was
running that was killed, and exactly one message is charged for it.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import time

WORDS = 3
CAPACITY = 1024
"""Slots of a worker's board: what it can grow to. Pages that nobody writes cost nothing."""

SLOT = WORDS * 8
"""Bytes of a slot: the token, the time and the token that is doomed, a machine word each."""


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
        words[WORDS * slot + 1] = time.monotonic_ns()
        # The token last: whoever sees it sees its time, for each word is stored at once.
        words[WORDS * slot] = token

    def end(self, slot: int) -> None:
        """A child has reported a message's outcome."""
        self._words[WORDS * slot] = 0

    def doom(self, slot: int, token: int) -> None:
        """A message is to end with the child that runs it, by the signal that follows."""
        self._words[WORDS * slot + 2] = token

    def is_doomed(self, slot: int) -> bool:
        """Whether what runs in a slot is to end with its child."""
        words = self._words
        return words[WORDS * slot] == words[WORDS * slot + 2] != 0

    def running(self, slot: int) -> tuple[int, float]:
        """The token of what runs in a slot (0: nothing) and for how many seconds."""
        words = self._words
        while True:
            first = WORDS * slot
            token, since, again = words[first], words[first + 1], words[first]
            if token == again:
                return token, (time.monotonic_ns() - since) / 1e9 if token else 0.0

    def close(self) -> None:
        """Give the memory back."""
        self._words.release()
        self._memory.close()
        os.close(self.fd)
