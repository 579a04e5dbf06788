"""What is known of a task: its message and its result, read together."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connections

from djtasks import states
from djtasks.conf import conf
from djtasks.queue.sql import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

STATE = load("state")
FORGET = load("forget")
STORE_STATE = load("store_state")


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

    @property
    def exists(self) -> bool:
        """Whether there is a message or a result."""
        return self.queued or self.stored

    @property
    def state(self) -> str:
        """The state as Celery names it.

        A running task is STARTED only if it was asked to track that; what the task itself
        stored since it began wins over that, as in Celery.
        """
        if self.queued:
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


def forget(ids: Sequence[UUID], *, using: str | None = None) -> int:
    """Delete the results of these tasks; returns how many there were."""
    with connections[using or conf.DATABASE].cursor() as cursor:
        cursor.execute(FORGET, (list(ids),))
        return int(cursor.fetchone()[0])


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
