"""Ending tasks that have not begun, and deleting what is kept of those that have ended."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from djtasks.control.outcome import Outcome


def revoke(
    ids: Sequence[UUID | str], *, reason: str = "revoked", using: str | None = None
) -> Outcome:
    """End tasks that no worker has begun as REVOKED, and what waits for them in a workflow.

    ``reason`` is the message of their :class:`TaskRevokedError`. Passed over: what runs (see
    :func:`djtasks.control.terminate`) and what has ended.
    """
    raise NotImplementedError


def delete(ids: Sequence[UUID | str], *, using: str | None = None) -> Outcome:
    """Delete the results of ended tasks, with their earlier attempts and large arguments.

    Passed over: what is queued, to be revoked first, and what runs.
    """
    raise NotImplementedError


def purge(queue: str, *, using: str | None = None) -> int:
    """Discard the tasks of a queue that no worker has begun; returns how many.

    As in Celery nothing remains of them; but those that other tasks wait for end as REVOKED, with
    what waits for them. What is enqueued after the call began stays.
    """
    raise NotImplementedError
