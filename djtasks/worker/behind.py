"""Messages of orders whose one before runs in the same worker: kept for a moment, not blocked."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from djtasks.lanes import ORDER
from djtasks.worker.member import Assignment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from djtasks.queue.delivery import Delivery

KEPT_FOR = 0.5
"""Seconds for which messages are kept after the last end in their order."""

MOST_OF_ONE = 8
"""How many messages of one order are kept at most."""


class Behind:
    """What a quick worker has claimed before the one before it in its order had ended.

    To block a message and to let it go again would write its row twice more, with all its entries
    in indexes. Kept, it delays nobody: whoever else is in its order comes after it. Where the one
    before takes long, or there are many, they are asked for, and so blocked.
    """

    def __init__(self) -> None:
        self._begun: set[str] = set()
        self._freed: set[str] = set()
        self._kept: dict[str, list[Assignment]] = {}
        # In the order of the times, which are all as far away from when they were set.
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        """How many messages are kept."""
        return sum(map(len, self._kept.values()))

    def __iter__(self) -> Iterator[Assignment]:
        return chain.from_iterable(list(self._kept.values()))

    def note_begun(self, deliveries: Iterable[Delivery]) -> None:
        """These messages were let through: what comes after them may be kept."""
        lanes = (delivery.lane for delivery in deliveries)
        self._begun.update(lane for lane in lanes if lane is not None and lane.startswith(ORDER))

    def note_end(self, lane: str) -> None:
        """What was begun in this lane has ended, or was put back, and that is committed."""
        self._begun.discard(lane)
        if lane in self._kept:
            self._freed.add(lane)

    def rest(self, now: float) -> float | None:
        """Seconds until something is to be asked for; None if nothing is kept."""
        for until in self._until.values():
            return 0.0 if self._freed else max(0.0, until - now)
        return None

    def sift(
        self, claimed: Iterable[Delivery], owner: int, room: int, now: float
    ) -> list[Delivery]:
        """Keep what may wait, of orders; returns what is to be asked for, of what was kept too.

        ``room``: how many may be kept; ``owner``: the worker id of the claim.
        """
        lanes: dict[str, list[Assignment]] = {lane: [] for lane in self._due(room, now)}
        for delivery in claimed:
            lanes.setdefault(delivery.lane or "", []).append(
                Assignment(delivery, owner, None, None)
            )
        asked: list[Assignment] = []
        left = room - len(self)
        for lane, new in lanes.items():
            if len(new) == 1 and lane not in self._kept and lane not in self._begun:
                asked += new
                continue
            kept = self._kept.pop(lane, [])
            left += len(kept)
            if lane in self._freed:
                del self._until[lane]
            until = self._until.setdefault(lane, now + KEPT_FOR)
            line = sorted(kept + new, key=lambda one: one.delivery.seq)
            first = 0 if lane in self._begun else 1
            if until <= now or len(line) - first > min(left, MOST_OF_ONE):
                # Who asks for a message must ask for all that this worker has of those before.
                first = len(line)
                self._begun.discard(lane)
            asked += line[:first]
            if first < len(line):
                self._kept[lane] = line[first:]
                left -= len(line) - first
            else:
                del self._until[lane]
        self._freed.clear()
        # Those that were claimed under an id that others have given up are theirs.
        return [one.delivery for one in asked if one.owner == owner]

    def remove(self, assignment: Assignment) -> None:
        """Keep this one no longer."""
        lane = assignment.delivery.lane or ""
        self._kept[lane].remove(assignment)
        if not self._kept[lane]:
            del self._kept[lane], self._until[lane]
            self._freed.discard(lane)

    def clear(self) -> None:
        """Keep nothing any longer."""
        self._kept.clear()
        self._until.clear()
        self._freed.clear()

    def _due(self, room: int, now: float) -> list[str]:
        if not room:
            return list(self._kept)
        due = list(self._freed)
        for lane, until in self._until.items():
            if until > now:
                break
            due.append(lane)
        return due
