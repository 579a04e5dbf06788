"""A workflow by the id of its root: every task of one call, and how they depend on each other."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connections

from djtasks import states
from djtasks.conf import conf
from djtasks.ids import to_uuid
from djtasks.models import Join
from djtasks.queue.sql import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

WORKFLOW = load("workflow")

WAITING = "WAITING"
"""The state of a task that waits for others, told apart from PENDING here."""

SCHEDULED = "SCHEDULED"
"""The state of a task that waits for its time."""

BLOCKED = "BLOCKED"
"""The state of a task that a limit does not let through yet."""


@dataclass(slots=True, frozen=True)
class Node:
    """One task of a workflow, queued or ended.

    ``after`` is the join whose results it waits or waited for, ``feeds`` the one that its own
    result goes to, at ``position`` if others go there too. ``runtime`` is in seconds.
    """

    id: UUID
    custom_id: str | None
    task: str
    queue: str
    rank: int
    root_id: UUID | None
    parent_id: UUID | None
    after: UUID | None
    feeds: UUID | None
    position: int | None
    retries: int
    enqueued_at: datetime | None
    started_at: datetime | None
    date_done: datetime | None
    runtime: float | None
    exception: str | None
    worker: str | None
    state: str


class WorkflowRun:
    """All tasks of one call, by its root id: the tasks in one query, their joins in another.

    ``root_id`` is a task id. Nothing is cached between objects: make a new one to look again.
    """

    def __init__(self, root_id: str | UUID, *, using: str | None = None) -> None:
        self.root_id, _ = to_uuid(root_id)
        alias = using or conf.DATABASE
        with connections[alias].cursor() as cursor:
            cursor.execute(WORKFLOW, {"root": self.root_id})
            self.nodes = [Node(*row) for row in cursor.fetchall()]
        self.joins = {
            join.id: join for join in Join.objects.using(alias).filter(root_id=self.root_id)
        }

    @property
    def counts(self) -> Counter[str]:
        """How many tasks are in each state."""
        return Counter(node.state for node in self.nodes)

    @property
    def is_over(self) -> bool:
        """Whether every task has ended."""
        return all(node.state in states.READY_STATES for node in self.nodes)

    def edges(self) -> Iterator[tuple[Node, Node]]:
        """Pairs of a task and one that waits for it; of groups before groups, every pair."""
        feeders: dict[UUID, list[Node]] = defaultdict(list)
        for node in self.nodes:
            if node.feeds is not None:
                feeders[node.feeds].append(node)
        for node in self.nodes:
            if node.after is not None:
                for feeder in feeders[node.after]:
                    yield feeder, node
