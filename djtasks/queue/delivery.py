"""What the executor is given: one claimed message."""

from __future__ import annotations

from typing import NamedTuple


class Delivery(NamedTuple):
    """One claimed message, in the columns and the order of ``taken.sql``.

    Plain values only, for it crosses from the parent to its children by ``marshal``: ids are
    bytes, times are seconds since the epoch, ``payload`` and ``options`` are JSON texts.
    ``feeds`` and ``position`` say where its end is counted in a workflow, ``lane`` what limits it,
    ``fair`` with whom it takes turns.
    ``deadline`` is when it expires on this machine's monotonic clock, ``unknown_for`` how many
    seconds ago a worker first met it without knowing its task.
    """

    id: bytes
    task: str
    payload: str | None
    options: str | None
    queue: str
    rank: int
    seq: int
    retries: int
    deliveries: int
    eta: float | None
    expires: float | None
    deadline: float | None
    enqueued: float | None
    unknown_for: float | None
    custom_id: str | None
    root_id: bytes | None
    parent_id: bytes | None
    payload_id: bytes | None
    feeds: bytes | None = None
    position: int | None = None
    lane: str | None = None
    fair: str | None = None
