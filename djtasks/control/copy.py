"""Running a copy of a task, with other arguments if wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID


def copy(
    id: UUID | str,
    *,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    payload: str | None = None,
    queue: str | None = None,
    priority: int | None = None,
    using: str | None = None,
) -> UUID:
    """Enqueue a new call like that of a task, whatever became of it; returns its id.

    ``args`` and ``kwargs`` replace those of the task; what is None stays. ``payload`` is both
    instead, as JSON text ``[args, kwargs]`` in the form in which they are stored and shown, with
    the tags of dates and other types: for a form in which somebody has edited them. Options of the
    call are copied; it is in no workflow, is due at once, and never expires.

    Raises :class:`LookupError` for a task that nobody knows, and :class:`ValueError` that says
    what is wrong with the arguments (checked against the signature of the task if it is
    registered here), the queue, or the priority.
    """
    raise NotImplementedError
