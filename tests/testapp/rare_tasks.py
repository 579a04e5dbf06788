"""Tasks that only a worker with this module in ``IMPORTS`` knows."""

from __future__ import annotations

from djtasks import shared_task
from tests.testapp.models import Note


@shared_task(name="rare")
def rare(text: str) -> str:
    """Write a row."""
    Note.objects.create(text=text)
    return text


@shared_task(name="rare_late", acks_late=True)
def rare_late(text: str) -> str:
    """Write a row; run again after a loss."""
    Note.objects.create(text=text)
    return text
