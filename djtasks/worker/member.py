"""One child as the parent knows it: its socket, and what it has been given."""

from __future__ import annotations

import logging
import select
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from djtasks.execution.request import uuid_text
from djtasks.worker.wire import Reader, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from djtasks.queue.delivery import Delivery
    from djtasks.queue.finish import Batch
    from djtasks.worker.nursery import Nursery


logger = logging.getLogger("djtasks.worker")


class Assignment(NamedTuple):
    """A message in the parent's care.

    ``owner`` is the worker id under which it was claimed; ``limit`` its hard time limit in
    seconds; ``lost`` what is to be recorded instead of running it.
    """

    delivery: Delivery
    owner: int
    limit: float | None
    lost: tuple[str, str, Any] | None


class Member:
    """A child, and the messages that it holds by their tokens.

    ``places`` is how many it runs at once; ``retiring`` that it takes no more, and ``leaving`` that
    no other is started in its place.
    """

    def __init__(self, index: int, slots: range, *, has_threads: bool = False) -> None:
        self.index = index
        self.has_threads = has_threads
        self.slots = slots
        self.sock, self.theirs = socket.socketpair()
        self.sock.setblocking(False)
        for end in (self.sock, self.theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.reader = Reader(self.sock)
        self.held: dict[int, Assignment] = {}
        self.pid: int | None = None
        self.ready = False
        self.retiring = False
        self.leaving = False
        self.places = len(slots)
        self.killing: tuple[int, float] | None = None
        self.recalled: int | None = None
        self._unsent = bytearray()

    def send(self, value: Any) -> None:
        """Send a frame; what the socket does not take at once is kept for :meth:`flush`."""
        data = pack(value)
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self.sock.send(data)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            # A dead child's messages are looked after when its end is reported.
            sent = 0
        if sent < len(data):
            self._unsent += data[sent:]

    def flush(self) -> bool:
        """Send more of what is kept; returns whether something is left."""
        while self._unsent:
            try:
                sent = self.sock.send(self._unsent)
            except (BlockingIOError, BrokenPipeError, ConnectionResetError):
                return True
            del self._unsent[:sent]
        return False

    @property
    def has_unsent(self) -> bool:
        """Whether a frame waits for room in the socket."""
        return bool(self._unsent)

    def give(self, entries: Sequence[tuple[int, Assignment]]) -> None:
        """Hand over messages to run, in this order."""
        if logger.isEnabledFor(logging.INFO):
            for _token, (delivery, _owner, _limit, lost) in entries:
                if lost is None:
                    name = delivery.custom_id or uuid_text(delivery.id)
                    logger.info("Task %s[%s] received", delivery.task, name)
        self.held.update(entries)
        self.send([(token, tuple(a.delivery), a.lost) for token, a in entries])

    def recall(self, nursery: Nursery | None) -> None:
        """Ask the child for what it has not begun."""
        if self.has_threads:
            self.send("recall")
        elif nursery is not None:
            nursery.signal(self.index, signal.SIGUSR2)
        else:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)

    def leave(self, *, for_good: bool) -> None:
        """Have the child end when it has run what it runs; nothing more is given to it."""
        self.retiring = True
        self.leaving = for_good
        self.send(("leave",))

    def resize(self, places: int) -> None:
        """Have a child of threads run so many at once.

        The slots of those that are too many are looked at until the child's end: they still run.
        """
        if places > self.places:
            # All places ran something long, and now there are others.
            self.recalled = None
        self.places = places
        self.slots = range(self.slots.start, max(self.slots.stop, self.slots.start + places))
        self.send(("slots", places))

    def drain(self, collect: Callable[[Member, Batch], None], batch: Batch) -> None:
        """Collect what a dying child still says, until its end closes the socket."""
        deadline = time.monotonic() + 1
        while not self.reader.closed and time.monotonic() < deadline:
            select.select([self.sock], [], [], 0.05)
            collect(self, batch)

    def close(self) -> None:
        """Close the socket: the child ends when it has run what it holds."""
        self.sock.close()
