"""A workflow as a graph of few nodes: columns by depth, groups of many folded into one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

__all__ = ["FOLD", "MOST", "Graph", "GraphNode", "graph"]

FOLD: Final = 8
"""Like nodes that are drawn one by one; more of them are folded into one."""

MOST: Final = 200
"""Nodes that are drawn, at most."""


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

    ``omitted`` is how many tasks are in no node, for there were too many.
    """

    nodes: list[GraphNode]
    edges: list[tuple[str, str]]
    counts: Mapping[str, int]
    omitted: int = 0


def graph(root_id: UUID, *, current: UUID | None = None, using: str | None = None) -> Graph | None:
    """The workflow of this root; None if there is only one task."""
    raise NotImplementedError
