"""The task that random workflows are made of, for the tests and workers with it in ``IMPORTS``."""

from __future__ import annotations

from typing import Any

from djtasks import Task, shared_task
from djtasks.exceptions import Ignore

RAN: list[int] = []
"""The labels of those that ended in this process, in order."""


@shared_task(bind=True, max_retries=1, default_retry_delay=0)
def collect(
    self: Task[..., Any], /, *args: Any, label: int, end: str = "", why: str = "", **more: Any
) -> list[Any]:
    """Return the label and everything that came; or end in another way, with ``why``."""
    if end == "retry" and not self.request.retries:
        self.retry()
    RAN.append(label)
    if end == "raise":
        raise ValueError(why)
    if end == "ignore":
        raise Ignore
    return [label, *args, *(f"{name}={value}" for name, value in more.items())]
