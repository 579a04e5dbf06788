"""Finding tasks: one list over those that are queued and those that have ended, latest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from djtasks.browser.filter import Filter, SearchError
from djtasks.browser.record import Record

__all__ = ["SCAN", "Filter", "Page", "Record", "SearchError", "find"]

SCAN: Final = 20_000
"""Rows of each table that one page looks at, at most, where no index knows what matches."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some tasks, latest first, and the cursors of the pages of older and of newer ones.

    ``searched_all`` says whether everything was looked at that could belong to this page. If not,
    about ``searched`` tasks were, and ``next`` searches further.
    """

    records: list[Record]
    next: str | None
    previous: str | None
    searched_all: bool
    searched: int


def find(
    filter: Filter,
    *,
    cursor: str | None = None,
    size: int = 100,
    back: bool = False,
    using: str | None = None,
) -> Page:
    """The tasks that match, latest first, after ``cursor``, or with ``back`` those before it.

    The time of a task that is queued or runs is that of its call, of one that has ended its end.
    A cursor that is not one of ours raises :class:`SearchError`.
    """
    raise NotImplementedError
