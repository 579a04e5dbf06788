"""Tasks that only a worker with this module in ``IMPORTS`` knows: for the regressions' tests."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from djtasks import Task, get_task_logger, shared_task, signals
from tests.testapp.models import Note
from tests.testapp.tasks import jot

logger = get_task_logger(__name__)

FAREWELL = "DJTASKS_TEST_FAREWELL"
"""The variable that names the journal in which children note that they begin and end."""

LINGER = "DJTASKS_TEST_LINGER"
"""The variable that says how many seconds children take to begin."""


@signals.worker_process_init.connect
def say_hello(*args: Any, **kwargs: Any) -> None:
    """Note the beginning of a child, where a journal is named."""
    if FAREWELL in os.environ:
        jot(os.environ[FAREWELL], "hello")
        time.sleep(float(os.environ.get(LINGER, "0")))


@signals.worker_process_shutdown.connect
def say_farewell(*args: Any, **kwargs: Any) -> None:
    """Note the end of a child, where a journal is named."""
    if FAREWELL in os.environ:
        jot(os.environ[FAREWELL], "farewell")


@shared_task(name="say")
def say(text: str) -> None:
    """Write a line to the task's log."""
    logger.info("The task says %s", text)


@shared_task(name="big")
def big(journal: str, gate: str, size: int) -> str:
    """Wait for a file, then return a text of so many characters."""
    jot(journal, "begin big")
    while not Path(gate).exists():
        time.sleep(0.005)
    return "x" * size


@shared_task(bind=True, name="atomic_again", atomic=True, max_retries=1, default_retry_delay=0)
def atomic_again(self: Task[..., Any], text: str) -> str:
    """Ask once for a retry without being interrupted, in a transaction with the writes."""
    retries: int = self.request.retries
    Note.objects.create(text=f"{text} {retries}")
    if not retries:
        self.retry(throw=False)
        return "first"
    return "second"


@shared_task(name="unencodable", autoretry_for=(Exception,), default_retry_delay=0, max_retries=2)
def unencodable(journal: str) -> object:
    """Return what JSON cannot carry, from a task that is retried after every exception."""
    jot(journal, "begin unencodable")
    return object()
