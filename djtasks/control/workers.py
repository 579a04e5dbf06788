"""Orders to workers, which they obey within a second."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from djtasks.control.outcome import Outcome


def quiet(worker_ids: Sequence[int], *, using: str | None = None) -> Outcome:
    """Let workers claim nothing more; what they hold runs on. ``worker_ids``: of their rows."""
    raise NotImplementedError


def unquiet(worker_ids: Sequence[int], *, using: str | None = None) -> Outcome:
    """Let workers that were made quiet claim again."""
    raise NotImplementedError


def stop(worker_ids: Sequence[int], *, using: str | None = None) -> Outcome:
    """Let workers finish what they run and end, as TERM does."""
    raise NotImplementedError


def terminate(
    ids: Sequence[UUID | str], *, signal: str = "SIGTERM", using: str | None = None
) -> Outcome:
    """Kill the processes that run these tasks, which end as REVOKED.

    ``done`` counts the orders given; a task that ends by itself meanwhile keeps its end. Passed
    over: what does not run, and what runs in a worker without processes of its own (the pools
    threads and solo). Raises :class:`ValueError` for a signal that does not end a process.
    """
    raise NotImplementedError
