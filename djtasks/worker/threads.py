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

    def serve(self, frames: list[Any]) -> None:
        """Hand out what arrives until the parent closes the socket."""
        threads = [
            threading.Thread(target=self._work, args=(self._first_slot + i,), name=f"task-{i}")
            for i in range(self._slots)
        ]
        for thread in threads:
            thread.daemon = True
            thread.start()
        while True:
            for frame in frames:
                if frame is None:
                    self._end(threads)
                    return
                if frame == "recall":
                    self._give_back()
                    continue
                if isinstance(frame, int):
                    self._runner.place.owner = frame
                    continue
                with self._arrived:
                    self._pending.extend(frame)
                    self._arrived.notify(len(frame))
            frames = self._reader.wait()
            if not frames:
                self._end(threads)
                return

    def _work(self, slot: int) -> None:
        while True:
            with self._arrived:
                while not self._pending:
                    if self._ended:
                        return
                    self._arrived.wait()
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

    def _end(self, threads: list[threading.Thread]) -> None:
        with self._arrived:
            self._ended = True
            self._arrived.notify_all()
        for thread in threads:
            thread.join()
