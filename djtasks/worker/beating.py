"""A worker's beat: a process that sends schedules, beside the children that run tasks.

Sending runs code of the project (routes, receivers of signals, tasks with a calling convention of
their own), so it does not happen in the parent. A worker without schedules has no such process.
"""

from __future__ import annotations

import faulthandler
import logging
import random
import signal
import socket
import sys
import threading
import time
from multiprocessing import current_process
from typing import TYPE_CHECKING, Any, Final

from djtasks.beat.loop import Beat
from djtasks.log import setup_worker_logging
from djtasks.worker.process import die_with_parent
from djtasks.worker.wire import Reader, pack

if TYPE_CHECKING:
    from types import FrameType

    from djtasks.worker.nursery import Nursery
    from djtasks.worker.options import WorkerOptions

logger = logging.getLogger("djtasks.worker")

BEAT: Final = -1
"""The number that the beat has among the children of the forker."""

GOODBYE: Final = 1.0
"""Seconds that a thread has to end; what it is doing then is undone by the database."""

RESTART_PAUSE: Final = 1.0
"""Seconds before a beat is started again that ended."""


class Beating:
    """The beat as the parent knows it. In the pool solo it is a thread."""

    def __init__(self, options: WorkerOptions, nursery: Nursery | None) -> None:
        self._options = options
        self._nursery = nursery
        self._sock: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._is_wanted = False
        self._is_closed = False
        self._start_at = 0.0

    def begin(self) -> None:
        """There is something to send: have a beat from now on."""
        self._is_wanted = True

    def look(self, now: float) -> None:
        """Start the beat if there is to be one and is none; ``now`` is monotonic."""
        if not self._is_wanted or self._is_closed or self._sock is not None:
            return
        if now < self._start_at or (self._nursery is not None and self._nursery.lost):
            return
        self._start_at = now + RESTART_PAUSE
        ours, theirs = socket.socketpair()
        options = self._options
        if self._nursery is None:
            self._thread = threading.Thread(
                target=_serve, args=(theirs, options.database), name="djtasks-beat", daemon=True
            )
            self._thread.start()
        else:
            ours.sendall(pack({"database": options.database, "loglevel": options.loglevel}))
            self._nursery.start_beat(BEAT, theirs)
            theirs.close()
        self._sock = ours

    def hear(self, index: int, what: str) -> None:
        """Take what the forker tells of a process, which may be ours."""
        if index == BEAT and what == "exited":
            self.ended()

    def ended(self) -> None:
        """The process is gone: start another after a pause."""
        if self._sock is None:
            return
        self._sock.close()
        self._sock = None
        if not self._is_closed:
            logger.error("The beat of this worker ended; starting another")
            self._start_at = time.monotonic() + RESTART_PAUSE

    def close(self) -> None:
        """Let it end after what it is doing; it is not started again."""
        self._is_closed = True
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def end(self) -> None:
        """Close it, and wait a little for a thread; a process is ended with the forker."""
        self.close()
        if self._thread is not None:
            self._thread.join(GOODBYE)


def _serve(stop: socket.socket, database: str) -> None:
    try:
        Beat(database, stop).run(embedded=True)
    finally:
        stop.close()


def main(sock_fd: int, *, fresh: bool = False) -> int:
    """Run the beat's process to its end; returns its exit status.

    ``fresh`` says that it descends from a fresh interpreter, in which nothing is set up yet.
    """
    die_with_parent()
    sock = socket.socket(fileno=sock_fd)
    frames = Reader(sock).wait()
    if not frames:
        return 0
    config: dict[str, Any] = frames[0]
    if fresh:
        setup_worker_logging(config["loglevel"])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, _nothing)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    faulthandler.register(signal.SIGUSR1, file=sys.__stderr__ or 2, all_threads=True)
    random.seed()
    current_process().name = "Beat"
    logging.getLogger("djtasks").setLevel(config["loglevel"])
    _serve(sock, config["database"])
    return 0


def _nothing(signum: int, frame: FrameType | None) -> None:
    """Take a signal that is meant for the parent. (An ignored one would be inherited.)"""
