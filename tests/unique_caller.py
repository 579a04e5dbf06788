"""A process that calls unique tasks: ``python -m tests.unique_caller HOW …``, for tests to kill.

``storm SECONDS SEED TASK KEYS`` says so and calls a task again and again, in transactions of random
length that are sometimes rolled back, and ends with the number of its calls. ``between KEY`` takes
a key, says so, and waits before it would insert the message.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.worker_process import ROOT, address

if TYPE_CHECKING:
    from collections.abc import Iterator


ENOUGH = 50  # calls in a storm, however slow the machine is


@contextmanager
def caller(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Such a process, killed at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.unique_caller", *map(str, arguments)],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings_worker",
            "DATABASE_URL": address(),
            "OTHER_DATABASE_URL": address("other"),
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def storm(seconds: float, seed: int, task: Any, keys: int) -> int:
    """Call a task for so long, and for some calls; returns their number."""
    from django.db import OperationalError, transaction

    from djtasks import enqueue_many
    from tests.worker_process import rolled_back

    chance = random.Random(seed)
    calls = 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline or calls < ENOUGH:
        how = chance.random()
        names = [str(chance.randrange(keys)) for _ in range(3)]
        calls += 1
        try:
            if how < 0.5:
                task.delay(names[0])
            elif how < 0.7:
                with transaction.atomic():
                    task.delay(names[0])
                    time.sleep(chance.random() * 0.01)
            elif how < 0.85:
                with rolled_back():
                    task.delay(names[0])
                    time.sleep(chance.random() * 0.01)
            else:
                enqueue_many([(task, (name,)) for name in names])
        except OperationalError as error:
            # Two that call several in one transaction may wait for each other.
            if "deadlock" not in str(error):
                raise
    return calls


def between(name: str) -> None:
    """Take a key and wait."""
    from django.db import connection, transaction

    from djtasks.ids import new_id
    from djtasks.queue.unique import take
    from djtasks.queue.uniqueness import Unique, UniqueMode, item
    from djtasks.unique_keys import scoped
    from tests.testapp.unique_tasks import strict

    with transaction.atomic():
        key = scoped(strict.name, name)
        assert take(connection, [item(new_id(), Unique(key, UniqueMode.DONE))], hold=True) == []
        sys.stdout.write("taken\n")
        sys.stdout.flush()
        time.sleep(600)


if __name__ == "__main__":
    import django

    django.setup()
    from tests.testapp import unique_tasks

    if sys.argv[1] == "storm":
        _, _, seconds, seed, task, keys = sys.argv
        sys.stdout.write("calling\n")
        sys.stdout.flush()
        calls = storm(float(seconds), int(seed), getattr(unique_tasks, task), int(keys))
        sys.stdout.write(f"{calls}\n")
    else:
        between(sys.argv[2])
