"""Memory that the parent and its children share: what each child runs, and since when.

A child writes here before it begins a message, so that the parent knows what a child was
running that was killed, and exactly one message is charged for it.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import time

_SLOT = struct.Struct("=QQ")


class Board:
    """One slot for each task that can run at once: the message's token and when it began."""

    def __init__(self, fd: int, slots: int) -> None:
        self.fd = fd
        self.slots = slots
        self._memory = mmap.mmap(fd, slots * _SLOT.size)

    @classmethod
    def create(cls, slots: int) -> Board:
        """A new board in memory of its own."""
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("djtasks", 0)
        else:
            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
        os.ftruncate(fd, slots * _SLOT.size)
        os.set_inheritable(fd, True)
        return cls(fd, slots)

    def begin(self, slot: int, token: int) -> None:
        """A child begins a message."""
        _SLOT.pack_into(self._memory, slot * 16, token, time.monotonic_ns())

    def end(self, slot: int) -> None:
        """A child has reported a message's outcome."""
        _SLOT.pack_into(self._memory, slot * 16, 0, 0)

    def running(self, slot: int) -> tuple[int, float]:
        """The token of what runs in a slot (0: nothing) and for how many seconds."""
        token, since = _SLOT.unpack_from(self._memory, slot * 16)
        return token, (time.monotonic_ns() - since) / 1e9 if token else 0.0

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
        os.close(self.fd)
