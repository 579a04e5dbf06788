"""What is known of a task: its message and its result, read together."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.db import connections

from djtasks import states
from djtasks.conf import conf
from djtasks.queue.sql import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

STATE = load("state")
ENDS = load("ends")
FORGET = load("forget")
FOLLOWING = load("following")
STORE_STATE = load("store_state")

ABORTED: Final = "ABORTED"
"""The state of an abortable task that was asked to abort and has not ended."""

VALUES_AT_ONCE = 1000
"""Tasks whose results are read by one query."""

STATES_AT_ONCE = 10_000
"""Tasks whose mere states are read by one query, or whose results are deleted by one."""


@dataclass(slots=True, frozen=True)
class TaskState:
    """One task as its rows tell it; ``payload``, ``result`` and ``children`` are JSON texts."""

    id: UUID
    queued: bool
    stored: bool
    running: bool
    stored_state: str | None
    result: str | None
    traceback: str | None
    date_done: datetime | None
    task: str | None
    payload: str | None
    options: str | None
    worker: str | None
    worker_pid: int | None
    retries: int | None
    queue: str | None
    children: str | None
    root_id: UUID | None
    parent_id: UUID | None
    custom_id: str | None
    updated_since_start: bool
    is_followed: bool
    is_aborted: bool

    @property
    def exists(self) -> bool:
        """Whether there is a message or a result."""
        return self.queued or self.stored

    @property
    def state(self) -> str:
        """The state as Celery names it.

        A running task is STARTED only if it was asked to track that; what the task itself
        stored since it began wins over that, as in Celery. One that was asked to abort is ABORTED
        until it ends.
        """
        if self.queued:
            if self.is_aborted:
                return ABORTED
            if self.running and not self.updated_since_start and self.tracks_start:
                return states.STARTED
            if self.stored and self.stored_state not in states.READY_STATES:
                return self.stored_state or states.PENDING
            # A stored end beside a queued message belongs to an earlier run of the same id.
            if not self.updated_since_start:
                return states.PENDING
        return self.stored_state or states.PENDING

    @property
    def is_current(self) -> bool:
        """Whether the stored result belongs to the state that is told."""
        return self.stored and self.state == self.stored_state

    @property
    def tracks_start(self) -> bool:
        """Whether the call or its task asked for the state STARTED."""
        tracked = self.option("track_started")
        if tracked is not None:
            return bool(tracked)
        from djtasks.registry import registry

        task = registry.get(self.task) if self.task else None
        return conf.TASK_TRACK_STARTED if task is None else bool(task.option("track_started"))

    def option(self, name: str) -> Any:
        """One option of the call, or None, also where the row's options are no JSON object."""
        try:
            options = json.loads(self.options) if self.options else None
        except ValueError:
            # The worker that is given the row says so in the task's result.
            return None
        return options.get(name) if isinstance(options, dict) else None


def read_state(ids: Sequence[UUID], *, using: str | None = None) -> dict[UUID, TaskState]:
    """Read what is known of these tasks, in one query; unknown ids have a state of their own."""
    with connections[using or conf.DATABASE].cursor() as cursor:
        cursor.execute(STATE, (list(ids),))
        return {row[0]: TaskState(*row) for row in cursor.fetchall()}


class Ended(NamedTuple):
    """How a task ended; ``result`` and ``children`` are JSON texts."""

    state: str
    result: str | None
    traceback: str | None
    children: str | None
    is_followed: bool = False
    """Whether a task comes after it in a chain."""


def read_ends(
    ids: Sequence[UUID], valued: int, *, using: str | None = None
) -> Iterator[tuple[UUID, Ended | str]]:
    """Read which of many tasks have ended: the id and, for the first ``valued``, how they ended.

    Of the others only the state is read. They come in the order of ``ids``, in one query for each
    :data:`VALUES_AT_ONCE` or :data:`STATES_AT_ONCE` of them.
    """
    start = 0
    while start < len(ids):
        chunk = ids[start : start + (VALUES_AT_ONCE if start < valued else STATES_AT_ONCE)]
        here = min(valued - start, len(chunk))
        with connections[using or conf.DATABASE].cursor() as cursor:
            cursor.execute(
                ENDS, {"ids": f"{{{','.join([id.hex for id in chunk])}}}", "valued": here}
            )
            rows = cursor.fetchall()
        for place, state, *value in rows:
            yield chunk[place - 1], Ended(state, *value) if place <= here else state
        start += len(chunk)


def following(id: UUID, *, using: str | None = None) -> list[tuple[UUID, str | None, str | None]]:
    """What comes right after a task in its chain: ids, the callers' own ids, and the group's id."""
    with connections[using or conf.DATABASE].cursor() as cursor:
        cursor.execute(FOLLOWING, {"id": id})
        return list(cursor.fetchall())


def queued_among(ids: Sequence[UUID], *, using: str | None = None) -> list[UUID]:
    """Which of these tasks are queued or running, as this connection sees it."""
    with connections[using or conf.DATABASE].cursor() as cursor:
        cursor.execute("SELECT id FROM djtasks_message WHERE id = ANY (%s::uuid[])", (list(ids),))
        return [row[0] for row in cursor.fetchall()]


def forget(ids: Sequence[UUID], *, using: str | None = None) -> int:
    """Delete the results of these tasks; returns how many there were."""
    count = 0
    with connections[using or conf.DATABASE].cursor() as cursor:
        for start in range(0, len(ids), STATES_AT_ONCE):
            cursor.execute(FORGET, (list(ids[start : start + STATES_AT_ONCE]),))
            count += int(cursor.fetchone()[0])
    return count


def store_state(
    id: UUID,
    state: str,
    result: str | None,
    *,
    task: str = "",
    custom_id: str | None = None,
    traceback: str | None = None,
    using: str | None = None,
) -> None:
    """Store a state and its meta data (JSON text) of a task that has not ended."""
    with connections[using or conf.DATABASE].cursor() as cursor:
        cursor.execute(
            STORE_STATE,
            {
                "id": id,
                "state": state,
                "result": result,
                "task": task,
                "custom_id": custom_id,
                "traceback": traceback,
            },
        )
