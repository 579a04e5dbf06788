"""Doing something to many tasks: a batch at a time, with an account of those passed over."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db import connections, transaction

from djtasks.conf import conf
from djtasks.control.outcome import Outcome, Reason
from djtasks.control.standing import Operation, refusal, standings
from djtasks.ids import to_uuid
from djtasks.queue.enqueue import wake_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

BATCH: Final = 500
"""Tasks that are changed in one transaction, at most."""


def database(using: str | None) -> str:
    """The alias of the queue's database."""
    return using or conf.DATABASE


def keys(ids: Iterable[UUID | str]) -> list[UUID]:
    """The primary keys of these task ids, each once, in their order."""
    return list(dict.fromkeys(to_uuid(id)[0] for id in ids))


def batches(ids: Sequence[UUID], size: int = BATCH) -> Iterator[Sequence[UUID]]:
    """These ids, so many at a time."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def carry_out(
    operation: Operation,
    ids: Sequence[UUID],
    act: Callable[[Sequence[UUID]], Collection[UUID]],
    alias: str,
    *,
    also_succeeded: bool = False,
) -> Outcome:
    """Act on each batch of these tasks, and find out why what was not done was not.

    ``act`` returns the ids of those of its batch that it did.
    """
    taken: list[UUID] = []
    reasons: list[Reason] = []
    for batch in batches(ids):
        did = act(batch)
        taken += [id for id in batch if id in did]
        left = [id for id in batch if id not in did]
        if left:
            known = standings(left, alias)
            reasons += [
                refusal(operation, known[id], also_succeeded=also_succeeded) or Reason.BUSY
                for id in left
            ]
    return replace(Outcome.of(len(taken), reasons), taken=tuple(taken))


def wake_after_commit(alias: str, **queues: Collection[str]) -> None:
    """Tell idle workers of these queues when what was written is committed, by channel."""
    channels = {f"djtasks_{channel}": set(names) for channel, names in queues.items() if names}
    if channels:
        transaction.on_commit(partial(wake_workers, connections[alias], channels), using=alias)
