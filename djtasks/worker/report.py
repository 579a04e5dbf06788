"""What a worker runs at this moment, as its row shows it."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from djtasks.worker.crew import Crew
    from djtasks.worker.member import Assignment, Member

LONG = 1.0
"""Seconds that a message has run before the row names it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What runs: in how many places, and as JSON that which has run for :data:`LONG`.

    ``key`` is equal while what has run for long is the same. ``quiet``: it claims nothing more.
    """

    quiet: bool
    busy: int
    running: str
    key: tuple[int, ...]


class Report:
    """Reads a crew from the keeper's thread: the board is made for that, and lists are copied."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._pid = os.getpid()
        self.quiet = False

    def read(self) -> Reading:
        """Look at every place once."""
        now = time.time()
        busy = 0
        entries: list[dict[str, Any]] = []
        tokens: list[int] = []
        for member, slot, token, assignment, seconds in self._places():
            busy += 1
            if seconds < LONG:
                continue
            tokens.append(token)
            entries.append(
                {
                    "id": assignment.delivery.id.hex(),
                    "task": assignment.delivery.task,
                    "since": round(now - seconds, 3),
                    "slot": slot,
                    "pid": member.pid or self._pid,
                }
            )
        running = json.dumps(entries, separators=(",", ":")) if entries else ""
        return Reading(self.quiet, busy, running, tuple(tokens))

    def pids(self) -> list[int]:
        """The processes of this worker: the parent, the forker and the children."""
        nursery = self._crew.nursery
        members = [member.pid for member in list(self._crew.members.values())]
        return [pid for pid in (self._pid, nursery and nursery.pid, *members) if pid]

    def _places(self) -> Iterator[tuple[Member, int, int, Assignment, float]]:
        for member in list(self._crew.members.values()):
            for slot in member.slots:
                token, seconds = self._crew.board.running(slot)
                # A token may still be on the board after its outcome was collected.
                assignment = member.held.get(token) if token else None
                if assignment is not None:
                    yield member, slot, token, assignment, seconds
