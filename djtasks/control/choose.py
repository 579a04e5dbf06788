"""Which tasks an operation would take: all that match a filter, and who is eligible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID

from djtasks.control.outcome import Outcome

if TYPE_CHECKING:
    from djtasks.browser.find import Filter

Operation = Literal["retry", "retry_as_new", "run_now", "revoke", "terminate", "move", "delete"]
"""An operation on tasks, by its name."""

LIMIT: Final = 10_000
"""Tasks that :func:`eligible` and :func:`purgeable` look at, at most."""


def select(filter: Filter, *, using: str | None = None) -> Iterator[list[UUID]]:
    """The ids of all tasks that match, newest first, in batches to be given to an operation.

    What arrives after the first batch was read, or ends or changes so that it would come before
    it, is not among them.
    """
    raise NotImplementedError


def eligible(
    operation: Operation,
    tasks: Sequence[UUID | str] | Filter,
    *,
    also_succeeded: bool = False,
    using: str | None = None,
) -> Outcome:
    """How many of these tasks the operation would do now, and how many it would pass over.

    ``tasks`` are ids, or a filter. Nothing is changed. Of a filter the first :data:`LIMIT` that
    match are counted; ``Outcome.more`` says that there are others.
    """
    raise NotImplementedError


def purgeable(queue: str, *, using: str | None = None) -> Outcome:
    """How many tasks :func:`purge` would discard now, counted to :data:`LIMIT`."""
    raise NotImplementedError
