"""A child: takes messages from its socket, runs them, answers with their outcomes.

It begins no message without writing it on the board, and answers each before it begins the
next, so that when it is killed exactly one message is in doubt.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import random
import resource
import signal
import socket
import sys
import time
from collections import deque
from multiprocessing import current_process
from typing import TYPE_CHECKING, Any

from djtasks import signals
from djtasks.execution import connections
from djtasks.log import setup_worker_logging
from djtasks.worker.board import Board
from djtasks.worker.process import die_with_parent
from djtasks.worker.runner import Runner, note, reply
from djtasks.worker.wire import Reader

if TYPE_CHECKING:
    from types import FrameType

logger = logging.getLogger("djtasks.worker")

FOR_THE_PARENT = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
"""Signals that a child gets with its whole group, and that only the parent is to follow."""


def main(sock_fd: int, board_fd: int, *, fresh: bool = False) -> int:
    """Run a child to its end; returns its exit status.

    ``fresh`` says that it descends from a fresh interpreter, in which nothing is set up yet.
    """
    die_with_parent()
    sock = socket.socket(fileno=sock_fd)
    reader = Reader(sock)
    frames = reader.wait()
    if not frames:
        return 0
    config: dict[str, Any] = frames[0]
    if fresh:
        setup_worker_logging(config["loglevel"])
    _prepare(config)
    board = Board(board_fd, config["board_slots"])
    runner = Runner(config)
    if config["slots"] > 1 or config["pool"] == "threads":
        from djtasks.worker.threads import ThreadedChild

        child: ThreadedChild | Child = ThreadedChild(sock, reader, board, runner, config)
    else:
        child = Child(sock, reader, board, runner, config)
        for number in FOR_THE_PARENT:
            signal.signal(number, child.end_if_doomed)
    signals.worker_process_init.emit(None)
    status = 0
    try:
        sock.sendall(note("ready", []))
        child.serve(frames[1:])
    except (BrokenPipeError, ConnectionResetError):
        # The parent is gone; what was being run is another worker's to decide on.
        status = 1
    finally:
        signals.worker_process_shutdown.emit(None, pid=os.getpid(), exitcode=status)
        runner.close()
    return status


def _prepare(config: dict[str, Any]) -> None:
    """Take the signals as a child does, and let nothing be shared that must not be."""
    for number in FOR_THE_PARENT:
        signal.signal(number, _nothing)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    faulthandler.register(signal.SIGUSR1, file=sys.__stderr__ or 2, all_threads=True)
    random.seed()
    current_process().name = f"Child-{config['first_slot'] // config['slots'] + 1}"
    logging.getLogger("djtasks").setLevel(config["loglevel"])
    connections.watch_connections()


def _nothing(signum: int, frame: FrameType | None) -> None:
    """Take a signal that is meant for the parent. (An ignored one would be inherited.)"""


class Child:
    """A child that runs one message after the other in its main thread."""

    def __init__(
        self,
        sock: socket.socket,
        reader: Reader,
        board: Board,
        runner: Runner,
        config: dict[str, Any],
    ) -> None:
        self._sock = sock
        self._reader = reader
        self._board = board
        self._runner = runner
        self._slot: int = config["first_slot"]
        self._max_tasks: int | None = config["max_tasks_per_child"]
        self._max_memory: int | None = config["max_memory_per_child"]
        self._pending: deque[tuple[int, tuple[Any, ...], Any]] = deque()
        self._in_user_code = False
        self._giving_back = False
        self._asked_again = False
        self._ran = 0
        self._leaving = False
        signal.signal(signal.SIGUSR2, self._give_back)

    def serve(self, frames: list[Any]) -> None:
        """Run what arrives until the parent closes the socket or a limit of this child is met."""
        while True:
            for frame in frames:
                if frame is None:
                    return
                self._take(frame)
            while self._pending and not self._leaving:
                self._run_next()
                if self._is_worn_out():
                    break
            if self._leaving or (self._ran and self._is_worn_out()):
                self._sock.sendall(note("worn out", self._take_unbegun()))
                return
            frames = self._reader.wait()
            if not frames:
                return

    def _run_next(self) -> None:
        token, row, lost = self._pending.popleft()
        board = self._board
        board.begin(self._slot, token)
        began = time.perf_counter()
        # A recall may only come while nothing of ours reads or writes the socket.
        self._in_user_code = True
        try:
            outcome = self._runner.run(row, lost)
            seconds = time.perf_counter() - began
            frame = reply(token, outcome, seconds, row[18] is not None)
        finally:
            self._in_user_code = False
        self._sock.sendall(frame)
        board.end(self._slot)
        self._ran += 1

    def end_if_doomed(self, signum: int, frame: FrameType | None) -> None:
        """End by a signal if it is meant for the task that runs, not for the parent."""
        if self._board.is_doomed(self._slot):
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)

    def _give_back(self, signum: int, frame: FrameType | None) -> None:
        """The parent asks for what waits behind a long message."""
        if not self._in_user_code:
            return
        if self._giving_back:
            # Asked again in the middle of it, where the stream must not be read by two.
            self._asked_again = True
            return
        self._giving_back = True
        # A soft limit that came now would leave the stream in the middle of a frame.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        try:
            self._asked_again = True
            while self._asked_again:
                self._asked_again = False
                unbegun = self._take_unbegun()
                if unbegun:
                    self._sock.sendall(note("recalled", unbegun))
        finally:
            self._giving_back = False
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})

    def _take(self, frame: Any) -> None:
        """Take messages, the id under which the worker claims from now on, or an order."""
        if isinstance(frame, int):
            self._runner.place.owner = frame
        elif isinstance(frame, tuple):
            if frame[0] == "leave":
                self._leaving = True
            else:
                self._runner.limit(frame[1])
        else:
            self._pending.extend(frame)

    def _take_unbegun(self) -> list[int]:
        self._sock.setblocking(False)
        try:
            for frame in self._reader.available():
                if frame is not None:
                    self._take(frame)
        finally:
            self._sock.setblocking(True)
        unbegun = [entry[0] for entry in self._pending]
        self._pending.clear()
        return unbegun

    def _is_worn_out(self) -> bool:
        if self._max_tasks is not None and self._ran >= self._max_tasks:
            return True
        return self._max_memory is not None and resident_kib() > self._max_memory


def resident_kib() -> int:
    """The memory of this process in KiB: what it holds now on Linux, elsewhere its peak."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize() // 1024
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak // 1024 if sys.platform == "darwin" else peak
