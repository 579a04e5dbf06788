"""Running ended tasks again."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from djtasks.control.outcome import Outcome


def retry(
    ids: Sequence[UUID | str],
    *,
    keep_id: bool = True,
    also_succeeded: bool = False,
    using: str | None = None,
) -> Outcome:
    """Put ended tasks back into their queues, ready, with the arguments and options they had.

    The ended run is kept as an :class:`~djtasks.models.Attempt`, its result is deleted, and
    retries are counted from 0 again. With ``keep_id=False`` the task stays as it ended, and a new
    call of it is made, under an id of its own that ``Outcome.ids`` tells, in no workflow.

    Passed over: tasks that are queued or run, those that succeeded (unless ``also_succeeded``),
    and those that never got what they waited for in a workflow.
    """
    raise NotImplementedError
