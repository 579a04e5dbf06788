"""A child that runs several messages at once, in threads, and coroutines on one event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from djtasks.worker.runner import note, reply

if TYPE_CHECKING:
    import socket
    from collections.abc import Coroutine

    from djtasks.worker.board import Board
    from djtasks.worker.runner import Runner
    from djtasks.worker.wire import Reader


class SharedLoop:
    """One event loop in a thread of its own, for the coroutines of all the others."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._guard = threading.Lock()

    def __call__(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop and wait for what it returns."""
        with self._guard:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=self._loop.run_forever, name="djtasks-coroutines", daemon=True
                ).start()
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


class ThreadedChild:
    """Reads the socket in the main thread and runs messages in the others."""

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
        runner.place.coroutine = SharedLoop()
        self._first_slot: int = config["first_slot"]
        self._slots: int = config["slots"]
        self._pending: deque[tuple[int, tuple[Any, ...], Any]] = deque()
        self._arrived = threading.Condition()
        self._sending = threading.Lock()
        self._ended = False
        self._working: dict[int, threading.Thread] = {}
        self._leaving = False

    def serve(self, frames: list[Any]) -> None:
        """Hand out what arrives until the parent closes the socket."""
        self._start_missing()
        while True:
            for frame in frames:
                if frame is None:
                    self._end()
                    return
                if isinstance(frame, tuple):
                    self._obey(*frame)
                    continue
                if frame == "recall":
                    self._give_back()
                    continue
                if isinstance(frame, int):
                    self._runner.place.owner = frame
                    continue
                with self._arrived:
                    self._pending.extend(frame)
                    self._arrived.notify(len(frame))
            if self._leaving:
                self._end()
                with self._sending:
                    self._sock.sendall(note("worn out", []))
                return
            frames = self._reader.wait()
            if not frames:
                self._end()
                return

    def _obey(self, order: str, detail: Any = None) -> None:
        """Do what the parent says about the child itself."""
        match order:
            case "limits":
                self._runner.limit(detail)
            case "slots":
                with self._arrived:
                    self._slots = detail
                    self._arrived.notify_all()
                self._start_missing()
            case "leave":
                self._give_back()
                self._leaving = True

    def _start_missing(self) -> None:
        """Start a thread for each slot that has none."""
        with self._arrived:
            for slot in range(self._first_slot, self._first_slot + self._slots):
                if slot not in self._working:
                    thread = threading.Thread(
                        target=self._work,
                        args=(slot,),
                        name=f"task-{slot - self._first_slot}",
                        daemon=True,
                    )
                    self._working[slot] = thread
                    thread.start()

    def _work(self, slot: int) -> None:
        while True:
            with self._arrived:
                while slot < self._first_slot + self._slots and not self._pending:
                    if self._ended:
                        return
                    self._arrived.wait()
                if slot >= self._first_slot + self._slots:
                    # There are too many. Whoever was woken instead takes what is there.
                    del self._working[slot]
                    self._arrived.notify()
                    return
                token, row, lost = self._pending.popleft()
                self._board.begin(slot, token)
            began = time.perf_counter()
            outcome = self._runner.run(row, lost)
            seconds = time.perf_counter() - began
            frame = reply(token, outcome, seconds, row[18] is not None)
            with self._sending:
                self._sock.sendall(frame)
            self._board.end(slot)

    def _give_back(self) -> None:
        with self._arrived:
            unbegun = [entry[0] for entry in self._pending]
            self._pending.clear()
        if unbegun:
            with self._sending:
                self._sock.sendall(note("recalled", unbegun))

    def _end(self) -> None:
        with self._arrived:
            self._ended = True
            self._arrived.notify_all()
            working = list(self._working.values())
        for thread in working:
            thread.join()
