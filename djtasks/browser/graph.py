"""A workflow as a graph of few nodes: columns by depth, groups of many folded into one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from djtasks.browser.filter import Filter
from djtasks.browser.folding import FOLD, MOST, Fold, Item, fold
from djtasks.browser.reading import reading
from djtasks.browser.sql import load

__all__ = ["FOLD", "MOST", "SCAN", "WHOLE", "Graph", "GraphNode", "graph"]

WORKFLOW_TASKS = load("workflow_tasks")
WORKFLOW_FOLDED = load("workflow_folded")

WHOLE: Final = 2_000
"""Tasks of a workflow that are read one by one; more of them are counted by the database."""

SCAN: Final = 10_000
"""Rows of each table that are looked at, of one workflow."""

MOST_KINDS: Final = 2_000
"""Rows that the database counts a workflow in, at most."""

TAIL: Final = 1_000
"""Rows that are looked at from the other end, where the last tasks of a workflow are."""

# With statistics that say a table is empty, loops would go through all tasks for each of them; a
# bitmap is made of all of an index before the first of its rows is read.
PLANNER: Final = """\
SELECT set_config('enable_nestloop', 'off', true), set_config('enable_bitmapscan', 'off', true),
       set_config('work_mem', '16MB', true)"""

TELLING: Final = (
    "FAILURE",
    "RUNNING",
    "RETRY",
    "READY",
    "BLOCKED",
    "SCHEDULED",
    "WAITING",
    "REVOKED",
    "REJECTED",
)
"""The states of a group that say most, in this order; SUCCESS says least."""

PROGRESS: Final = (
    "SUCCESS",
    "FAILURE",
    "REVOKED",
    "REJECTED",
    "RUNNING",
    "RETRY",
    "READY",
    "BLOCKED",
    "SCHEDULED",
    "WAITING",
)
"""The order of counts: what has ended, then what is to end."""


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One task, or a group of like tasks.

    ``id`` is the task's, None for a group. ``state`` of a group is the one that says most: FAILURE
    if one failed, RUNNING if one runs, and so on. ``counts`` are its tasks by state, empty for a
    single one; ``query`` finds them. ``runtime`` is in seconds, of a single task.
    """

    key: str
    column: int
    task: str
    state: str
    id: UUID | None
    counts: Mapping[str, int]
    query: str
    runtime: float | None = None
    is_current: bool = False
    """Whether the task that was asked about is this one, or in it."""

    @property
    def size(self) -> int:
        """How many tasks it stands for."""
        return sum(self.counts.values()) or 1


@dataclass(frozen=True, slots=True)
class Graph:
    """The nodes by column, the pairs of keys that are joined, and all tasks by state.

    ``omitted`` is how many tasks are in no node, for there were too many names. ``is_partial``
    says that there are more tasks than were looked at: they are in no node and no number.
    """

    nodes: list[GraphNode]
    edges: list[tuple[str, str]]
    counts: Mapping[str, int]
    omitted: int = 0
    is_partial: bool = False


def graph(root_id: UUID, *, current: UUID | None = None, using: str | None = None) -> Graph | None:
    """The workflow of this root; None if there is only one task."""
    items, total, is_partial = _items(root_id, current, using)
    return None if total < 2 else _graph(items, root_id, total, is_partial)


def _items(root_id: UUID, current: UUID | None, using: str | None) -> tuple[list[Item], int, bool]:
    """The tasks, how many there are, and whether there are more than were looked at."""
    with reading(using) as cursor:
        cursor.execute(PLANNER)
        cursor.execute(WORKFLOW_TASKS, {"root": root_id, "most": WHOLE + 1})
        rows = cursor.fetchall()
        if len(rows) <= WHOLE:
            return [_item(*row, current=current) for row in rows], len(rows), False
        cursor.execute(
            WORKFLOW_FOLDED,
            {
                "root": root_id,
                "current": current,
                "scan": SCAN,
                "tail": TAIL,
                "fold": FOLD,
                "most": MOST_KINDS,
            },
        )
        rows = cursor.fetchall()
    # What has ended between the two statements may have been deleted by now.
    total, is_partial = rows[0][-2:] if rows else (0, False)
    return (
        [item for row in rows for item in _counted(*row[:-2], current=current)],
        total,
        is_partial,
    )


def _graph(items: Sequence[Item], root_id: UUID, total: int, is_partial: bool) -> Graph:
    drawing = fold(items)
    nodes = [_node(one, number, root_id) for number, one in enumerate(drawing.folds)]
    counts = _counts(items)
    return Graph(
        nodes=nodes,
        edges=[(nodes[source].key, nodes[target].key) for source, target in drawing.edges],
        counts=counts,
        omitted=drawing.omitted + total - sum(counts.values()),
        is_partial=is_partial,
    )


def _node(one: Fold, number: int, root_id: UUID) -> GraphNode:
    first = one.items[0]
    id = first.id if one.size == 1 else None
    counts = {} if id is not None else _counts(one.items)
    wanted = Filter(root=root_id, task=f"={first.task}") if id is None else Filter(id=str(id))
    return GraphNode(
        key=f"n{number}",
        column=one.column,
        task=first.task,
        state=first.state if id is not None else _most_telling(counts),
        id=id,
        counts=counts,
        query=wanted.to_query(),
        runtime=first.runtime if id is not None else None,
        is_current=one.is_current,
    )


def _counts(items: Iterable[Item]) -> dict[str, int]:
    """How many tasks are in each state, those that have ended first."""
    counts: Counter[str] = Counter()
    for item in items:
        counts[item.state] += item.count
    known = {state: counts.pop(state) for state in PROGRESS if state in counts}
    return known | dict(sorted(counts.items()))


def _most_telling(counts: Mapping[str, int]) -> str:
    known = next((state for state in TELLING if state in counts), None)
    return known or next((state for state in counts if state != "SUCCESS"), "SUCCESS")


def _item(
    id: UUID,
    task: str,
    after: UUID | None,
    feeds: UUID | None,
    parent_id: UUID | None,
    runtime: float | None,
    state: str,
    *,
    current: UUID | None,
) -> Item:
    """A row of ``workflow_tasks.sql``: what waits for no join comes after its caller."""
    return Item(
        task,
        state,
        takes=after or parent_id,
        gives=(id,) if feeds is None else (id, feeds),
        id=id,
        runtime=runtime,
        is_current=id == current,
    )


def _counted(
    task: str,
    state: str,
    takes: str | None,
    gives: str | None,
    caller: str | None,
    caller_takes: str | None,
    caller_gives: str | None,
    count: int,
    ids: list[str],
    runtimes: list[str],
    is_current: bool,
    *,
    current: UUID | None,
) -> list[Item]:
    """A row of ``workflow_folded.sql``, few tasks one by one. Callers are points as kinds."""
    behind = takes or (None if caller is None else (caller, caller_takes, caller_gives))
    kind = (task, takes, gives)
    points = (kind,) if gives is None else (kind, gives)
    if count > FOLD:
        return [Item(task, state, behind, points, count=count, is_current=is_current)]
    every = zip(",".join(ids).split(","), ",".join(runtimes).split(","), strict=True)
    return [
        Item(
            task,
            state,
            behind,
            points,
            id=UUID(id),
            runtime=float(runtime) if runtime else None,
            is_current=UUID(id) == current,
        )
        for id, runtime in every
    ]
