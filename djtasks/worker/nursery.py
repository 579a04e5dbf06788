"""The parent's handle of the forker: orders out, news in."""

from __future__ import annotations

import array
import marshal
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from django.db import connections

from djtasks.worker.forker import PACKET, run
from djtasks.worker.process import fresh_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from djtasks.worker.board import Board


class Nursery:
    """Has children started, signalled and reaped by a process of its own.

    Made before the parent has a thread or a connection, for that process is a fork of it; where
    forking is not wanted (``spawn``), and after a loss, it is a fresh interpreter.
    """

    def __init__(self, start_method: str) -> None:
        self._start_method = start_method
        self.lost = False
        self._popen: subprocess.Popen[bytes] | None = None
        self.pid = 0
        self.control = self._launch_fork() if start_method == "forkserver" else self._launch()

    def relaunch(self) -> None:
        """Start a new forker after the old one died, and its children with it."""
        self.control.close()
        self.control = self._launch()
        self.lost = False

    def start(self, index: int, slots: int, sock: socket.socket, board: Board) -> None:
        """Start the child ``index`` on its end of a socket pair."""
        fds = array.array("i", [sock.fileno(), board.fd])
        self._order(
            ["start", index, slots], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds.tobytes())]
        )

    def start_beat(self, index: int, sock: socket.socket) -> None:
        """Start the process that sends schedules, on its end of a socket pair."""
        fds = array.array("i", [sock.fileno()])
        self._order(["beat", index], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds.tobytes())])

    def signal(self, index: int, number: int) -> None:
        """Send a signal to a child, if it is alive."""
        self._order(["signal", index, int(number)])

    def kill_if(self, index: int, slot: int, token: int, seconds: float) -> None:
        """Kill a child if it has run this message for longer than so many seconds."""
        self._order(["kill_if", index, slot, token, seconds])

    def terminate(self, index: int, slot: int, token: int, number: int) -> None:
        """End a child by a signal if it runs this message."""
        self._order(["terminate", index, slot, token, int(number)])

    def news(self) -> Iterator[tuple[Any, ...]]:
        """What has happened: ``("started", index, pid)``, ``("exited", index, pid, status)``."""
        while True:
            try:
                data = self.control.recv(PACKET)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.lost = True
                return
            yield marshal.loads(data)

    def close(self) -> None:
        """Let the forker end, and its children with it, and wait until they are gone."""
        self.control.close()
        self.reap()

    def _order(self, what: list[Any], ancillary: Any = ()) -> None:
        try:
            self.control.sendmsg([marshal.dumps(what)], ancillary)
        except (BrokenPipeError, ConnectionResetError):
            # Noticed by news() as well, which has the children's messages looked after.
            self.lost = True

    def _launch_fork(self) -> socket.socket:
        connections.close_all()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if not pid:
            status = 1
            try:
                ours.close()
                run(theirs, "forkserver")
                status = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(status)
        theirs.close()
        ours.setblocking(False)
        self.pid = pid
        return ours

    def _launch(self) -> socket.socket:
        role = "spawner" if self._start_method == "spawn" else "forker"
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fd = theirs.fileno()
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "djtasks.worker.boot", role, str(fd)],
            pass_fds=(fd,),
            env=fresh_environment(),
        )
        theirs.close()
        ours.setblocking(False)
        self.pid = self._popen.pid
        return ours

    def reap(self) -> None:
        """Wait for the forker's end."""
        if self._popen is not None:
            self._popen.wait()
            self._popen = None
        elif self.pid:
            os.waitpid(self.pid, 0)
        self.pid = 0
