"""The worker and the web server, run beside the demo and ended with it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from django.core.management.base import CommandError

from testproject.embedded import BASE_DIR

START_TIMEOUT = 60.0  # seconds
STOP_TIMEOUT = 10.0  # seconds
TAIL = 15  # lines of a log that are shown when its program has ended unasked


class Program:
    """A command of ``manage.py`` in a process of its own, with its output in a file.

    It is in the terminal's process group, so that Ctrl-C and a closed terminal reach it too.
    """

    def __init__(self, name: str, log: Path, *arguments: str) -> None:
        self.name = name
        self.log = log
        self._arguments = arguments

    def __enter__(self) -> Self:
        command = [sys.executable, str(BASE_DIR / "manage.py"), *self._arguments]
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=BASE_DIR,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A worker does well to keep its connections from task to task.
                env={**os.environ, "PYTHONUNBUFFERED": "1", "CONN_MAX_AGE": "60"},
            )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def check(self) -> None:
        """Raise `CommandError` with the end of the log if the program has ended."""
        status = self._process.poll()
        if status is not None:
            lines = self.log.read_text(errors="replace").splitlines()[-TAIL:]
            told = "\n".join(f"    {line}" for line in lines)
            raise CommandError(
                f"The {self.name} has ended with status {status}. {self.log} ends with:\n{told}"
            )

    def wait_until(self, is_ready: Callable[[], bool]) -> None:
        """Wait for something that the program does. Raises `CommandError` if it does not."""
        deadline = time.monotonic() + START_TIMEOUT
        while not is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise CommandError(
                    f"The {self.name} is not ready after {START_TIMEOUT:.0f} s. See {self.log}."
                )
            time.sleep(0.05)


def free_port(wanted: int) -> int:
    """The port that is wanted, or any other if that is taken."""
    for port in (wanted, 0):
        with socket.socket() as candidate:
            # As the web server does: a port that was left a moment ago is free.
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(candidate.getsockname()[1])
    raise CommandError("No port of 127.0.0.1 is free.")


def answers(url: str) -> bool:
    """Whether a web server is there."""
    # No proxy: the server is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=10):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False
