"""The warm process from which children are forked, and which alone signals and reaps them.

It runs no user code beyond what Django's set-up imports, and holds no connection. Since nobody
else reaps its children, a process id that it signals is never one that was used again.
"""

from __future__ import annotations

import array
import gc
import marshal
import os
import selectors
import signal
import socket
import subprocess
import sys
from typing import Any

from djtasks.worker.board import Board
from djtasks.worker.process import die_with_parent, fresh_environment

PACKET = 1 << 16


def run(control: socket.socket, method: str, *, fresh: bool = False) -> None:
    """Serve the parent's orders until it is gone, then leave no child behind.

    ``fresh`` says that this is a fresh interpreter and not a fork of the parent.
    """
    Forker(control, method, fresh=fresh).serve()


class Forker:
    """Starts, signals and reaps children on the parent's orders."""

    def __init__(self, control: socket.socket, method: str, *, fresh: bool = False) -> None:
        self._fresh = fresh
        self._control = control
        self._method = method
        self._pids: dict[int, int] = {}
        self._board: Board | None = None
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def serve(self) -> None:
        """Wait for orders and for ends of children."""
        die_with_parent()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1):
            signal.signal(number, _nothing)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        # What was imported so far never changes: keep the collector from writing to its pages.
        gc.collect()
        gc.freeze()
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while True:
                for key, _events in selector.select():
                    if key.fileobj is self._control:
                        if not self._obey():
                            self._end()
                            return
                    else:
                        os.read(self._wake_read, 4096)
                self._reap()

    def _obey(self) -> bool:
        """Carry out one order; False when the parent is gone."""
        try:
            data, ancillary, _flags, _address = self._control.recvmsg(
                PACKET, socket.CMSG_SPACE(2 * array.array("i").itemsize)
            )
        except ConnectionResetError:
            # The parent left without reading all our news.
            return False
        if not data:
            return False
        fds = array.array("i")
        for _level, _kind, payload in ancillary:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
        order, *details = marshal.loads(data)
        match order:
            case "start":
                self._start(details[0], details[1], fds[0], fds[1])
            case "beat":
                self._start_beat(details[0], fds[0])
            case "signal":
                self._signal(details[0], details[1])
            case "kill_if":
                self._kill_if(*details)
            case "terminate":
                self._terminate(*details)
        return True

    def _start(self, index: int, slots: int, sock_fd: int, board_fd: int) -> None:
        try:
            if self._method == "spawn":
                pid = self._spawn("child", sock_fd, board_fd)
            else:
                pid = self._fork("child", sock_fd, board_fd)
        except OSError as error:
            # No memory or no process left: the parent tries again after a pause.
            os.close(sock_fd)
            os.close(board_fd)
            sys.stderr.write(f"A child could not be started: {error}\n")
            self._tell("exited", index, 0, 1)
            return
        self._pids[index] = pid
        os.close(sock_fd)
        if self._board is None:
            self._board = Board(board_fd, slots)
        else:
            os.close(board_fd)
        self._tell("started", index, pid)

    def _start_beat(self, index: int, sock_fd: int) -> None:
        try:
            launch = self._spawn if self._method == "spawn" else self._fork
            self._pids[index] = launch("beat", sock_fd)
        except OSError as error:
            sys.stderr.write(f"The beat could not be started: {error}\n")
            self._tell("exited", index, 0, 1)
        else:
            self._tell("started", index, self._pids[index])
        os.close(sock_fd)

    def _fork(self, role: str, *fds: int) -> int:
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            self._control.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
            from djtasks.worker import beating, child

            if role == "beat":
                status = beating.main(*fds, fresh=self._fresh)
            else:
                status = child.main(*fds, fresh=self._fresh)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            # Not sys.exit(): what the forker registered to run at its exit is not the child's.
            _flush()
            os._exit(status)

    def _spawn(self, role: str, *fds: int) -> int:
        process = subprocess.Popen(
            [sys.executable, "-m", "djtasks.worker.boot", role, *map(str, fds)],
            pass_fds=fds,
            env=fresh_environment(),
        )
        pid = process.pid
        # Reaped here with the others; the object must not do it as well.
        process.returncode = 0
        return pid

    def _signal(self, index: int, number: int) -> None:
        pid = self._pids.get(index)
        if pid is not None:
            os.kill(pid, number)

    def _kill_if(self, index: int, slot: int, token: int, limit: float) -> None:
        """Kill a child if it has run this message for longer than ``limit`` seconds."""
        pid = self._stopped(index)
        if pid is not None and self._board is not None:
            running, seconds = self._board.running(slot)
            overdue = running == token and seconds > limit
            os.kill(pid, signal.SIGKILL if overdue else signal.SIGCONT)

    def _terminate(self, index: int, slot: int, token: int, number: int) -> None:
        """End a child by a signal if it runs this message."""
        pid = self._stopped(index)
        if pid is not None and self._board is not None:
            if self._board.running(slot)[0] == token:
                # The child takes signals that reach its whole group as meant for the parent.
                self._board.doom(slot, token)
                os.kill(pid, number)
            os.kill(pid, signal.SIGCONT)

    def _stopped(self, index: int) -> int | None:
        """Stop a child and return its process id; None if there is none any more.

        Between a look at the board and what follows from it the child could begin the next one.
        """
        pid = self._pids.get(index)
        if pid is None:
            return None
        os.kill(pid, signal.SIGSTOP)
        reaped, status = os.waitpid(pid, os.WUNTRACED)
        if reaped and not os.WIFSTOPPED(status):
            self._ended(pid, status)
            return None
        return pid

    def _reap(self) -> None:
        while self._pids:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._ended(pid, status)

    def _ended(self, pid: int, status: int) -> None:
        for index, known in list(self._pids.items()):
            if known == pid:
                del self._pids[index]
                self._tell("exited", index, pid, os.waitstatus_to_exitcode(status))

    def _tell(self, *what: Any) -> None:
        try:
            self._control.send(marshal.dumps(what))
        except (BrokenPipeError, ConnectionResetError):
            # The parent is gone; the next look at the control socket says so and ends us.
            return

    def _end(self) -> None:
        for pid in self._pids.values():
            os.kill(pid, signal.SIGKILL)
        for pid in self._pids.values():
            os.waitpid(pid, 0)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue


def _nothing(signum: int, frame: object) -> None:
    """Take a signal that is meant for the parent. (An ignored one would be inherited.)"""
