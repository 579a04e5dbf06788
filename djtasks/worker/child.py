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
from typing import TYPE_CHECKING, Any

from djtasks import signals
from djtasks.exceptions import TimeLimitExceeded, WorkerLostError
from djtasks.execution import connections
from djtasks.execution.coroutines import LoopRunner
from djtasks.execution.executor import Executor, Place
from djtasks.execution.lost import Verdict
from djtasks.execution.unrunnable import broken, unknown
from djtasks.queue.delivery import Delivery
from djtasks.queue.finish import linked_members, members
from djtasks.queue.outcome import Disposal, Outcome
from djtasks.registry import registry
from djtasks.worker.board import Board
from djtasks.worker.forker import die_with_parent
from djtasks.worker.wire import Reader, pack

if TYPE_CHECKING:
    from types import FrameType

logger = logging.getLogger("djtasks.worker")


def main(sock_fd: int, board_fd: int) -> int:
    """Run a child to its end; returns its exit status."""
    die_with_parent()
    sock = socket.socket(fileno=sock_fd)
    reader = Reader(sock)
    frames = reader.wait()
    if not frames:
        return 0
    config: dict[str, Any] = frames[0]
    _prepare(config)
    board = Board(board_fd, config["board_slots"])
    runner = Runner(config)
    if config["slots"] > 1 or config["pool"] == "threads":
        from djtasks.worker.threads import ThreadedChild

        child: ThreadedChild | Child = ThreadedChild(sock, reader, board, runner, config)
    else:
        child = Child(sock, reader, board, runner, config)
    signals.worker_process_init.emit(None)
    sock.sendall(note("ready", []))
    status = 0
    try:
        child.serve(frames[1:])
    finally:
        signals.worker_process_shutdown.emit(None, pid=os.getpid(), exitcode=status)
        runner.close()
    return status


def _prepare(config: dict[str, Any]) -> None:
    """Take the signals as a child does, and let nothing be shared that must not be."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, _nothing)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    faulthandler.register(signal.SIGUSR1, file=sys.__stderr__ or 2, all_threads=True)
    random.seed()
    logging.getLogger("djtasks").setLevel(config["loglevel"])
    connections.watch_connections()


def _nothing(signum: int, frame: FrameType | None) -> None:
    """Take a signal that is meant for the parent. (An ignored one would be inherited.)"""


class Runner:
    """Runs one entry of a frame, whatever it asks, and gives its outcome as plain values."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._loop = LoopRunner()
        self.place = Place(
            hostname=config["hostname"],
            coroutine=self._loop,
            soft_time_limit=config["soft_time_limit"],
            owner=config["owner"],
        )
        self._executors: dict[str, Executor] = {}

    def close(self) -> None:
        """End what the runner has started."""
        self._loop.close()

    def executor(self, name: str) -> Executor | None:
        """The executor of a task, or None if the task is unknown here."""
        executor = self._executors.get(name)
        if executor is None:
            task = registry.get(name)
            if task is None:
                return None
            executor = self._executors[name] = Executor(task, self.place)
        return executor

    def run(self, row: tuple[Any, ...], lost: tuple[str, str, Any] | None) -> Outcome:
        """Run one message, or record what became of one that was lost.

        A row that cannot be understood ends as FAILURE here and harms nothing else.
        """
        delivery = Delivery._make(row)
        try:
            executor = self.executor(delivery.task)
            if executor is None:
                return unknown(delivery, self.place.hostname)
            connections.before_task()
            try:
                if lost is None:
                    return executor(delivery)
                verdict, kind, detail = lost
                error = TimeLimitExceeded(detail) if kind == "limit" else WorkerLostError(detail)
                return executor.lose(delivery, error, Verdict(verdict))
            finally:
                connections.after_task(delivery.task)
        except Exception as error:
            return broken(delivery, error)


def reply(token: int, outcome: Outcome, seconds: float) -> bytes:
    """The frame that tells the parent of an outcome."""
    linked = linked_members(outcome) if outcome.messages else None
    disposal = int(outcome.disposal)
    text = "" if outcome.disposal is Disposal.ENDED else members(outcome)
    return pack((token, disposal, text, linked, seconds))


def note(what: str, tokens: list[int]) -> bytes:
    """The frame that tells the parent something else: ready, recalled or worn out."""
    return pack((0, what, tokens, None, 0.0))


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
        self._ran = 0

    def serve(self, frames: list[Any]) -> None:
        """Run what arrives until the parent closes the socket or a limit of this child is met."""
        if hasattr(signal, "SIGUSR2"):
            signal.signal(signal.SIGUSR2, self._give_back)
        while True:
            for frame in frames:
                if frame is None:
                    return
                self._pending.extend(frame)
            while self._pending:
                self._run_next()
                if self._is_worn_out():
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
            frame = reply(token, outcome, time.perf_counter() - began)
        finally:
            self._in_user_code = False
        self._sock.sendall(frame)
        board.end(self._slot)
        self._ran += 1

    def _give_back(self, signum: int, frame: FrameType | None) -> None:
        """The parent asks for what waits behind a long message."""
        if not self._in_user_code:
            return
        unbegun = self._take_unbegun()
        if unbegun:
            self._sock.sendall(note("recalled", unbegun))

    def _take_unbegun(self) -> list[int]:
        self._sock.setblocking(False)
        try:
            for frame in self._reader.available():
                if frame is not None:
                    self._pending.extend(frame)
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
