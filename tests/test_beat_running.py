"""Workers and beats as real processes: they send what is due, each tick once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter as Tally
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import connections

from djtasks.models import Message, PeriodicTask, TaskResult
from djtasks.schedules import schedule
from testproject.embedded import Server
from tests.testapp.models import Note
from tests.worker_process import ROOT, WorkerProcess, address, eventually

pytestmark = pytest.mark.usefixtures("live")

ADD = "tests.testapp.tasks.add"
IMPORTS = {"IMPORTS": ["tests.testapp.beat_tasks"]}
TICK = "tests.testapp.beat_tasks.tick"


def every(seconds: float, name: str = "ticker", /, **values: Any) -> PeriodicTask:
    """A schedule that notes its ticks."""
    given = {"task": TICK, "schedule": schedule(seconds).to_json(), **values}
    return PeriodicTask.objects.create(name=name, **given)


def worker(
    *arguments: str, settings: dict[str, Any] | None = None, **options: Any
) -> WorkerProcess:
    """A worker that knows the tasks of these tests."""
    return WorkerProcess("-c", "1", *arguments, settings={**IMPORTS, **(settings or {})}, **options)


@contextmanager
def beating(
    *arguments: str, url: str | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """``manage.py runbeat`` in a process of its own, and its log."""
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "runbeat", "-l", "INFO", *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tests.settings_worker",
                "DATABASE_URL": url or address(),
                "OTHER_DATABASE_URL": address("other"),
                "DJTASKS_TEST_SETTINGS": json.dumps(IMPORTS),
            },
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        path = Path(log.name)
        try:
            eventually(lambda: "Beating" in path.read_text(), "the beat")
            yield process, path
        except BaseException:
            sys.stdout.write(path.read_text())
            raise
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


def ran(name: str = "ticker") -> list[str]:
    """The ticks that ran, in order."""
    notes = Note.objects.filter(text__startswith=f"{name} ").order_by("id")
    return [note.text.removeprefix(f"{name} ") for note in notes]


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_worker_sends_what_is_due_in_every_pool(pool: str) -> None:
    every(0.5)
    with worker("-P", pool) as running:
        eventually(lambda: len(ran()) >= 3, "three ticks")
        assert running.stop() == 0
    assert len(set(ran())) == len(ran())


def test_a_worker_whose_children_are_spawned_beats_too() -> None:
    every(0.5)
    with worker("--start-method", "spawn"):
        eventually(lambda: len(ran()) >= 2, "two ticks")


def test_a_worker_without_schedules_has_no_process_for_them() -> None:
    with worker() as running:
        time.sleep(3)
        before = len(running.tree())
        every(0.5)
        eventually(ran, "a tick")
        assert len(running.tree()) == before + 1


def test_a_change_in_the_table_is_followed_at_once() -> None:
    row = every(3600)
    with worker():
        eventually(lambda: PeriodicTask.objects.get().planned, "the plan")
        PeriodicTask.objects.filter(pk=row.pk).update(schedule=schedule(0.2).to_json())
        # A beat that nobody tells looks every minute.
        eventually(ran, "a tick", within=30)
        PeriodicTask.objects.filter(pk=row.pk).update(enabled=False)
        eventually(is_still, "the ticks to end", within=30)


def is_still() -> bool:
    """Whether nothing ticks for a second."""
    count = len(ran())
    time.sleep(1)
    return len(ran()) == count


def test_no_beat_leaves_schedules_to_others() -> None:
    every(0.2)
    with worker("--no-beat"):
        time.sleep(4)
        assert not ran()
        assert not PeriodicTask.objects.get().planned
        with beating():
            eventually(lambda: len(ran()) >= 2, "two ticks")


def test_a_beat_that_dies_is_replaced() -> None:
    every(0.3)
    with worker() as running:
        eventually(ran, "a tick")
        beat_of(running).kill()
        running.wait_log("The beat of this worker ended")
        count = len(ran())
        eventually(lambda: len(ran()) > count + 2, "more ticks")


def beat_of(running: WorkerProcess) -> psutil.Process:
    """The beat of a worker that has lost no child: its forker started it last."""
    return max(running.children, key=lambda child: (child.create_time(), child.pid))


def test_schedules_of_the_settings_are_sent() -> None:
    settings = {"BEAT_SCHEDULE": {"from settings": {"task": ADD, "schedule": 0.5, "args": [1, 2]}}}
    with worker(settings=settings):
        eventually(lambda: TaskResult.objects.filter(task=ADD, state="SUCCESS").exists(), "a run")
    row = PeriodicTask.objects.get()
    assert (row.name, row.source) == ("from settings", "settings")


def test_a_broken_schedule_of_the_settings_stops_neither_the_worker_nor_the_others() -> None:
    settings = {
        "BEAT_SCHEDULE": {
            "good": {"task": ADD, "schedule": 0.5, "args": [1, 2]},
            "unknown": {"task": "nowhere", "schedule": 0.5},
            "senseless": {"task": ADD, "schedule": "often"},
        }
    }
    with worker(settings=settings) as running:
        running.wait_log("djtasks.E010")
        running.wait_log("djtasks.E009")
        eventually(lambda: TaskResult.objects.filter(state="SUCCESS").exists(), "a run")


def test_an_app_declares_its_schedules_when_it_is_set_up() -> None:
    settings = {"IMPORTS": ["tests.testapp.beat_tasks", "tests.testapp.beat_setup"]}
    with worker(settings=settings):
        eventually(lambda: Note.objects.filter(text__startswith="every half").exists(), "a tick")


def test_runbeat_ends_when_it_is_told_to() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with beating() as (process, log):
            process.send_signal(number)
            assert process.wait(60) == 0
            assert "Traceback" not in log.read_text()


def test_runbeat_says_what_is_wrong_with_its_database() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "runbeat", "--database", "nowhere"],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings_worker",
            "DATABASE_URL": address(),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "There is no database 'nowhere'" in done.stderr


def test_a_beat_survives_a_restart_of_the_database(server: Server) -> None:
    rows = PeriodicTask.objects.using("private")
    with beating(url=server.url) as (_process, log):
        server.stop("kill")
        server.start()
        eventually(lambda: _reachable("private"), "the database")
        rows.create(name="after", task=TICK, schedule=schedule(0.5).to_json())
        messages = Message.objects.using("private")
        eventually(lambda: messages.filter(task=TICK).count() >= 2, "two ticks")
        assert "The database is gone" in log.read_text()


def _reachable(alias: str) -> bool:
    try:
        connections[alias].close()
        connections[alias].ensure_connection()
    except Exception:
        return False
    return True


# --- exactly once ------------------------------------------------------------------------------

SECONDS = 20
SECOND = timedelta(seconds=1)


@pytest.mark.timeout(250)
def test_with_workers_killed_and_paused_each_tick_runs_once_or_is_part_of_a_late_one() -> None:
    """Four workers come and go for 20 s. Of each schedule of a second:

    - no tick has two messages, whoever sent them: each message names its own tick;
    - all are on the grid of seconds, and of those between two that were sent each had come when the
      earlier one was sent: that run was late and stands for them;
    - each message that was sent ran, and wrote its effect in the transaction that ended it, once.
    """
    rng = random.Random(os.environ.get("DJTASKS_TEST_SEED", "7"))
    names = ["one", "two", "three"]
    for name in names:
        every(1, name)
    with ExitStack() as stack:
        workers = [stack.enter_context(worker(wait=False)) for _ in range(4)]
        workers[0].wait_ready()
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends or (
            min(len(ran(name)) for name in names) < 3 and time.monotonic() < ends + 60
        ):
            time.sleep(rng.uniform(0.2, 1.0))
            index = rng.randrange(len(workers))
            victim = workers[index]
            if "Tasks:" not in victim.log:
                # On a slow machine none would ever be there.
                continue
            if rng.random() < 0.5:
                victim.kill()
                workers[index] = stack.enter_context(worker(wait=False))
            else:
                stopped = victim.tree()
                for process in stopped:
                    with suppress(psutil.NoSuchProcess):
                        process.suspend()
                time.sleep(rng.uniform(0.2, 2.5))
                for process in stopped:
                    with suppress(psutil.NoSuchProcess):
                        process.resume()
        PeriodicTask.objects.update(enabled=False)
        with worker("--no-beat"):
            eventually(lambda: not Message.objects.exists(), "the rest to run", within=60)
    for name in names:
        row = PeriodicTask.objects.get(name=name)
        runs = sorted([datetime.fromisoformat(part) for part in line.split()] for line in ran(name))
        ticks = [tick for tick, _sent in runs]
        doubled = [tick for tick, count in Tally(ticks).items() if count > 1]
        assert not doubled, f"{name}: {doubled}"
        assert len(ticks) == row.total_run_count, "what was sent and what ran"
        assert len(ticks) >= 3
        for (earlier, sent), (later, _sent) in pairwise(runs):
            assert (later - earlier) % SECOND == timedelta(), "off the grid"
            # What lies between had come when the earlier one was sent: it was late.
            assert sent >= later - SECOND, f"{name}: missed after {earlier}"
