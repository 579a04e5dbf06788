"""Tasks that only a worker with this module in ``IMPORTS`` knows: for the tests of orders."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

from djtasks import shared_task, signals
from tests.testapp.models import Note
from tests.testapp.tasks import jot


@signals.task_revoked.connect
def note_revoked(sender: Any, **told: Any) -> None:
    """Leave a row for each task of this module that was revoked, with what the signal tells."""
    if sender.name.startswith("wait_"):
        Note.objects.create(
            text=f"revoked {sender.name} {told['request'].id} {told['request'].args} "
            f"{told['terminated']} {told['signum']} {told['expired']}"
        )


@shared_task(name="wait_for")
def wait_for(journal: str, key: str, gate: str) -> str:
    """Note the beginning, wait until a file is there, note the end."""
    jot(journal, f"begin {key}")
    while not Path(gate).exists():
        time.sleep(0.005)
    jot(journal, f"end {key}")
    return key


@shared_task(name="wait_atomically", atomic=True)
def wait_atomically(journal: str, key: str, gate: str) -> str:
    """Write a row in the transaction of the end, then wait."""
    Note.objects.create(text=key)
    return str(wait_for.run(journal, key, gate))


@shared_task(name="wait_stubbornly")
def wait_stubbornly(journal: str, key: str, gate: str) -> str:
    """Wait, and take no notice of TERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return str(wait_for.run(journal, key, gate))
