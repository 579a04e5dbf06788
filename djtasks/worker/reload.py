"""``--reload``: run the worker in a process of its own, and start it again when code changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from django.utils.autoreload import StatReloader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

INTERVAL = 1.0
"""Seconds between two looks at the files."""


def run_with_reload(write: Callable[[str], object]) -> int:
    """Run this command without ``--reload`` until it is stopped; returns its exit status.

    ``write`` takes a line for each start.
    """
    arguments = [argument for argument in sys.argv if argument != "--reload"]
    watcher = _Watcher()
    stopped: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        # Ctrl-C reaches the worker as well, being in the same group; others are passed on.
        stopped.append(number)
        if number != signal.SIGINT and process.poll() is None:
            process.send_signal(number)

    process = _start(arguments)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, stop)
    while True:
        time.sleep(INTERVAL)
        status = process.poll()
        if stopped:
            return process.wait()
        changed = watcher.changed()
        if changed is not None:
            write(f"{changed} changed; starting the worker again")
            if status is None:
                process.terminate()
                process.wait()
            process = _start(arguments)
        elif status is not None and status == 0:
            return status


def _start(arguments: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *arguments], env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )


class _Watcher:
    """Notices files of imported modules that change, as ``runserver`` does."""

    def __init__(self) -> None:
        self._reloader = StatReloader()
        self._times: dict[Path, float] = dict(self._reloader.snapshot_files())

    def changed(self) -> Path | None:
        times = dict(self._reloader.snapshot_files())
        before, self._times = self._times, times
        for path, time_ in times.items():
            if before.get(path, time_) != time_:
                return path
        return None
