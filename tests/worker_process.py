"""Real workers for tests: ``manage.py runtaskworker`` in processes of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

import psutil
from django.db import connections, transaction
from django.utils import timezone

ROOT = Path(__file__).resolve().parent.parent

T = TypeVar("T")

SOUND_SLEEP = "tests.testapp.sound_sleep"  # in IMPORTS: only what wakes a worker moves it
# The settings of a worker that learns of orders by being told, or never.
RARE_BEATS = {"HEARTBEAT_INTERVAL": 3600.0, "LEASE": 7200.0, "POOLED_LEASE": 7200.0}

PATIENCE = 60.0  # seconds that something may take on a busy machine before a test fails


def eventually(
    condition: Callable[[], T], what: str = "it to become true", *, within: float = PATIENCE
) -> T:
    """Wait until ``condition()`` is true and return its value; fail after ``within`` seconds."""
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within} s for {what}; last: {value!r}")
        time.sleep(0.01)


def address(alias: str = "default") -> str:
    """The URL of the database that the tests use under this alias."""
    settings = connections[alias].settings_dict
    who = quote(settings["USER"] or "", safe="")
    if settings["PASSWORD"]:
        who += f":{quote(settings['PASSWORD'], safe='')}"
    where = {"host": settings["HOST"], "port": settings["PORT"]}
    query = urlencode({name: value for name, value in where.items() if value})
    return f"postgresql://{who}@/{quote(settings['NAME'])}?{query}"


class WorkerProcess:
    """A worker, started when the block is entered and gone when it is left.

    Parameters:
        arguments: of ``runtaskworker``.
        settings: the worker's ``DJTASKS`` setting.
        env: more environment variables.
        url: address of another default database than the tests'.
        wait: return from entering the block only when the worker serves.

    On an error in the block the worker's log is printed.
    """

    def __init__(
        self,
        *arguments: str,
        settings: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        url: str | None = None,
        wait: bool = True,
        launcher: Sequence[str] = (),
    ) -> None:
        self.arguments = arguments
        self._wait = wait
        self._launcher = list(launcher)
        self._environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings_worker",
            "DATABASE_URL": url or address(),
            "OTHER_DATABASE_URL": address("other"),
            "DJTASKS_TEST_SETTINGS": json.dumps(settings or {}),
            "PYTHONUNBUFFERED": "1",
            **(env or {}),
        }
        # Closed with the block.
        self._log = tempfile.NamedTemporaryFile(prefix="djtasks-worker-", suffix=".log")  # noqa: SIM115
        self._seen: set[psutil.Process] = set()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [
                *self._launcher,
                sys.executable,
                "manage.py",
                "runtaskworker",
                *([] if "-l" in self.arguments else ["-l", "INFO"]),
                *self.arguments,
            ],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if self._wait:
            try:
                self.wait_ready()
            except BaseException as error:
                self.__exit__(type(error), error, None)
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            sys.stdout.write(f"--- log of the worker {' '.join(self.arguments)}\n{self.log}\n")
        self.kill()
        self._log.close()

    # --- what it is -------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Process id of the parent."""
        assert self._process
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything that it has printed."""
        return Path(self._log.name).read_text(errors="replace")

    @property
    def forker(self) -> psutil.Process:
        """The process that starts the children."""
        return eventually(lambda: psutil.Process(self.pid).children(), "the forker")[0]

    @property
    def children(self) -> list[psutil.Process]:
        """The processes that run tasks."""
        return self.forker.children()

    def tree(self) -> list[psutil.Process]:
        """All its processes that are alive, the parent first."""
        try:
            parent = psutil.Process(self.pid)
            processes = [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
        self._seen.update(processes)
        return [p for p in processes if _alive(p)]

    def left(self) -> list[psutil.Process]:
        """Those that :meth:`tree` has shown and that are still alive."""
        return [process for process in self._seen if _alive(process)]

    # --- waiting ----------------------------------------------------------------------------

    def wait_ready(self) -> None:
        """Wait until it serves."""
        self.wait_log(r"^Tasks:")

    def wait_log(self, pattern: str, *, within: float = PATIENCE) -> str:
        """Wait until a line of its log matches; returns what did."""

        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.log, re.MULTILINE)
            if found is None and self.status is not None:
                # What it printed last may have come after the look.
                found = re.search(pattern, self.log, re.MULTILINE)
                assert found, f"the worker ended with {self.status} before {pattern!r}:\n{self.log}"
            return found

        found = eventually(look, f"{pattern!r} in the worker's log", within=within)
        assert found
        return found[0]

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        assert self._process
        return self._process.poll()

    def wait(self, within: float = PATIENCE) -> int:
        """Wait for its end; returns the exit status."""
        assert self._process
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker did not end within {within} s") from None

    # --- ending it --------------------------------------------------------------------------

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the parent."""
        os.kill(self.pid, number)

    def stop(self, number: signal.Signals = signal.SIGTERM, within: float = PATIENCE) -> int:
        """Tell it to stop and wait; returns the exit status."""
        self.tree()
        self.send(number)
        return self.wait(within)

    def kill(self) -> None:
        """End all its processes at once, as the loss of its machine does."""
        if self._process is None:
            return
        processes = {*self.tree(), *self._seen}
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
        self._process.kill()
        self._process.wait()
        psutil.wait_procs(processes, timeout=PATIENCE)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Journal:
    """A file in which tasks note what they do, at once and whatever their transaction does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def lines(self) -> list[str]:
        """What was noted, in order."""
        return self.path.read_text().splitlines() if self.path.exists() else []

    def count(self, line: str) -> int:
        """How often this was noted."""
        return self.lines.count(line)

    def tally(self, word: str = "begin") -> Tally[str]:
        """How often each key was noted after this word."""
        return Tally(
            line.removeprefix(f"{word} ") for line in self.lines if line.startswith(f"{word} ")
        )

    def wait(self, line: str, times: int = 1, *, within: float = PATIENCE) -> None:
        """Wait until this was noted so often."""
        eventually(
            lambda: self.count(line) >= times,
            f"{times} times {line!r} in {self.path}",
            within=within,
        )


class _RolledBackError(Exception):
    """Rolls a transaction back."""


@contextlib.contextmanager
def rolled_back(using: str = "default") -> Iterator[None]:
    """A transaction, or a savepoint, that is rolled back at its end."""
    with contextlib.suppress(_RolledBackError), transaction.atomic(using=using):
        yield
        raise _RolledBackError


def wait_drained(within: float = PATIENCE) -> None:
    """Wait until every message has ended."""
    from djtasks.models import Message

    eventually(lambda: not Message.objects.exists(), "the queue to be empty", within=within)


def wait_known() -> None:
    """Wait until all workers have read what is set for tasks.

    Each reads it with its heartbeat, one after the other: at the second it has done so once.
    """
    from djtasks.models import Worker

    for _ in range(2):
        asked = timezone.now()
        eventually(lambda asked=asked: not Worker.objects.filter(heartbeat__lte=asked).exists())  # type: ignore[misc]


def somebody_waits() -> bool:
    """Whether somebody is in ``get()``, to be woken by the end of what they wait for."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM djtasks_waiter)")
        return bool(cursor.fetchone()[0])


def states(ids: Iterable[Any] | None = None) -> Tally[str]:
    """How many stored results are in each state."""
    from djtasks.models import TaskResult

    results = TaskResult.objects.all()
    if ids is not None:
        results = results.filter(id__in=list(ids))
    return Tally(results.values_list("state", flat=True))


def clean_tables(*, workers: bool = False) -> None:
    """Empty what tasks and tests write, and forget workers whose process is gone, or all."""
    from djtasks.models import Worker
    from tests.testapp.models import Counter, Note

    gone = Worker.objects.all() if workers else Worker.objects.exclude(pid__in=psutil.pids())
    gone.delete()
    tables = (
        *("message", "join", "input", "payload", "taskresult", "waiter", "savedgroup"),
        *("attempt", "queue", "activity", "depth", "periodictask", "unique", "tasksetting"),
        *("question", "place", "rate"),
    )
    with connections["default"].cursor() as cursor:
        for table in tables:
            cursor.execute(f"DELETE FROM djtasks_{table}")
    Counter.objects.all().delete()
    Note.objects.all().delete()
