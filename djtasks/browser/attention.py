"""What needs attention, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from djtasks.browser.fleet import WorkerView
    from djtasks.browser.queues import QueueView

__all__ = ["Note", "attention"]


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence. ``page`` is where to look: the name of an admin page, as in its address
    (``taskrecord``, ``queue``, ``worker``), and ``query`` what to search for there, or empty.
    """

    text: StrOrPromise
    is_severe: bool
    page: str
    query: str = ""


def attention(
    queues: list[QueueView], workers: list[WorkerView], *, using: str | None = None
) -> list[Note]:
    """What is wrong or may be, the worst first. ``queues`` and ``workers`` are as just read."""
    raise NotImplementedError
