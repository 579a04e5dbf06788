"""A real worker: ``manage.py runtaskworker`` in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from benchmarks import bare
from benchmarks.measure import BenchmarkError

BASE_DIR = Path(__file__).resolve().parent.parent
START_TIMEOUT = 30.0
STOP_TIMEOUT = 30.0
"""Seconds."""


class Worker:
    """A worker with two prefork children, as a context manager; ``options`` go to its command.

    It is ready when the block begins: idle, its children waiting, unless ``wait`` is False.
    ``started`` is the time of the machine's monotonic clock at which its process was started.
    """

    def __init__(self, *options: str, database: str = "default", wait: bool = True) -> None:
        self._command = [
            sys.executable,
            str(BASE_DIR / "manage.py"),
            "runtaskworker",
            "--concurrency=2",
            "--pool=prefork",
            f"--database={database}",
            *options,
        ]
        self._database = database
        self._wait = wait
        self.started = 0.0

    def __enter__(self) -> Self:
        self._words = tempfile.TemporaryFile("w+")
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            self._command,
            cwd=BASE_DIR,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "benchmarks.settings"},
            stdin=subprocess.DEVNULL,
            stdout=self._words,
            stderr=self._words,
        )
        if self._wait:
            try:
                self.wait_until_ready()
            except BaseException:
                self._end()
                raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def wait_until_ready(self) -> None:
        """Wait until it has asked to be woken: it has a child that waits for work."""
        statement = "SELECT wants_work FROM djtasks_worker WHERE pid = %s"
        with bare.connect(self._database) as connection:
            deadline = time.monotonic() + START_TIMEOUT
            while time.monotonic() < deadline:
                row = connection.execute(statement, (self._process.pid,)).fetchone()
                if row and row[0]:
                    return
                self.check()
                time.sleep(0.005)
        raise BenchmarkError(f"The worker is not ready after {START_TIMEOUT} s.\n{self._said()}")

    def check(self) -> None:
        """Raise :class:`BenchmarkError` if the worker has ended."""
        status = self._process.poll()
        if status is not None:
            raise BenchmarkError(f"The worker ended with status {status}.\n{self._said()}")

    def wait(self, timeout: float) -> None:
        """Wait for its end. Raises :class:`BenchmarkError` if it does not end well in time."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise BenchmarkError(
                f"The worker still runs after {timeout} s.\n{self._said()}"
            ) from None
        if status:
            raise BenchmarkError(f"The worker ended with status {status}.\n{self._said()}")

    def tree(self) -> list[psutil.Process]:
        """Its processes: the parent, what starts the children, the children."""
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]

    def _said(self) -> str:
        self._words.seek(0)
        return self._words.read()

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._words.close()
