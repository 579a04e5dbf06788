"""Frames between the parent and its children: a length, then plain values by ``marshal``.

Both ends are the same Python of the same worker; nothing from outside reaches this.
"""

from __future__ import annotations

import marshal
import socket
import struct
from typing import Any

_HEADER = struct.Struct("=I")
_READ_SIZE = 1 << 18


def pack(value: Any) -> bytes:
    """One frame."""
    body = marshal.dumps(value)
    return _HEADER.pack(len(body)) + body


class Reader:
    """Takes what a socket delivers and gives whole frames."""

    __slots__ = ("_buffer", "_sock", "closed")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self.closed = False

    def available(self) -> list[Any]:
        """The frames that have arrived, on a socket that does not block."""
        buffer = self._buffer
        while True:
            try:
                data = self._sock.recv(_READ_SIZE)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                self.closed = True
                break
            if not data:
                self.closed = True
                break
            buffer += data
            if len(data) < _READ_SIZE:
                break
        return self._frames() if buffer else []

    def wait(self) -> list[Any]:
        """Block until at least one frame has arrived; an empty list at the end of the stream."""
        while True:
            frames = self._frames()
            if frames:
                return frames
            data = self._sock.recv(_READ_SIZE)
            if not data:
                self.closed = True
                return []
            self._buffer += data

    def _frames(self) -> list[Any]:
        buffer = self._buffer
        frames = []
        start, end = 0, len(buffer)
        with memoryview(buffer) as view:
            while end - start >= 4:
                (size,) = _HEADER.unpack_from(view, start)
                if end - start - 4 < size:
                    break
                frames.append(marshal.loads(view[start + 4 : start + 4 + size]))
                start += 4 + size
        if start:
            del buffer[:start]
        return frames
