"""Members of workflows that are killed: late ones, atomic ones, and an early body that counts."""

from __future__ import annotations

import os

from djtasks import shared_task
from tests.testapp.models import Note


@shared_task(acks_late=True, reject_on_worker_lost=True, max_deliveries=1000)
def late(value: int) -> int:
    """Return the value; run again if its worker is lost."""
    return value


@shared_task(atomic=True, max_deliveries=1000)
def atomic(value: int) -> int:
    """Return the value, with a row in the same transaction."""
    Note.objects.create(text="atomic")
    return value


@shared_task(acks_late=True, reject_on_worker_lost=True, max_deliveries=1000)
def plus(value: int, more: int) -> int:
    """Add two numbers."""
    return value + more


@shared_task(acks_late=True, reject_on_worker_lost=True, max_deliveries=1000)
def total(values: list[int]) -> int:
    """Add up a list."""
    return sum(values)


@shared_task
def perhaps(value: int, *, fails: bool) -> int:
    """Return the value, or fail."""
    if fails:
        raise ValueError(value)
    return value


@shared_task
def note_sum(value: int, *, journal: str, name: str) -> int:
    """Write the sum down in a file, in one write."""
    fd = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{name} {value}\n".encode())
    os.close(fd)
    return value
