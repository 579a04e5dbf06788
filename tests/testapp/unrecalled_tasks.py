"""A task that keeps what waits behind it for as long as a test wants: it hears of no recall."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

from djtasks import shared_task, signals
from tests.testapp.tasks import jot


@signals.worker_process_init.connect
def hear_no_recall(**told: Any) -> None:
    """Leave the signal that asks for what waits pending, from before the first message on."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})


@shared_task(name="wait_unrecalled")
def wait_unrecalled(journal: str, key: str, recall: str, gate: str) -> str:
    """Note the beginning, hear the recall when one file is there, end when the other is."""
    jot(journal, f"begin {key}")
    while not Path(recall).exists():
        time.sleep(0.005)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
    while not Path(gate).exists():
        time.sleep(0.005)
    jot(journal, f"end {key}")
    return key
