"""Claiming ready messages: from which position in each queue, and what the rows become."""

from __future__ import annotations

import time
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from djtasks.queue.delivery import Delivery
from djtasks.queue.sql import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def taking(name: str) -> str:
    """The statement ``<name>.sql``, which takes messages, with what is given of them."""
    return f"{load(name)}\n{load('taken')}"


CLAIM = taking("claim")
FAIR = taking("fair")

START = (-(2**31), 0)
"""The position before every message."""

REWIND_SHARE = 0.05
"""The part of the time that may go into claims from the start of the queues."""

SHORTEST_REWIND = 0.01
"""Seconds between two claims from the start, however cheap they are."""

LONGEST_REWIND = 2.0
"""Seconds between two claims from the start, however long one of them once took."""

HELD = -1
"""The ``deliveries`` of a message that a claim did not take but held, for its task is paused."""

_order = itemgetter(5, 6)


def deliveries(rows: Iterable[Sequence[Any]], now: float | None = None) -> list[Delivery]:
    """The claimed rows as deliveries in their order, which ``RETURNING`` does not keep.

    ``now`` is this machine's monotonic clock, in seconds, for the deadline of those that expire.
    """
    claimed = []
    for row in rows:
        if row[11] is not None:
            clock = time.monotonic() if now is None else now
            row = (*row[:11], clock + row[11], *row[12:])
        claimed.append(Delivery._make(row))
    claimed.sort(key=_order)
    return claimed


def taken(claimed: list[Delivery]) -> list[Delivery]:
    """Those that were claimed, without those that were held."""
    if any(delivery.deliveries == HELD for delivery in claimed):
        return [delivery for delivery in claimed if delivery.deliveries != HELD]
    return claimed


class Positions:
    """How far into each queue the claims of one worker have come.

    A claim begins behind what this worker has seen, so that it does not walk over the dead
    entries of what is done. It begins at the start again when the last one came back short and
    at intervals, as often as :data:`REWIND_SHARE` of the time allows: messages that were
    committed late, given back, or that have a higher priority are overlooked for no longer than
    ``overlooks_for`` seconds, which is 10 ms on a healthy table.
    """

    def __init__(self) -> None:
        self._positions: dict[str, tuple[int, int]] = {}
        self._turn = 0
        self._rewound = float("-inf")
        self._cost = 0.0
        self._usual = 0.0
        self._from_start = True
        self._behind = False

    def set_queues(self, queues: Iterable[str]) -> None:
        """Serve these queues; the positions of those known already are kept."""
        self._positions = {queue: self._positions.get(queue, START) for queue in queues}

    def add_queue(self, queue: str) -> None:
        """Serve one queue more."""
        self._positions.setdefault(queue, START)

    def __contains__(self, queue: object) -> bool:
        return queue in self._positions

    @property
    def queues(self) -> list[str]:
        """The queues that are served."""
        return list(self._positions)

    @property
    def overlooks_for(self) -> float:
        """Seconds for which a message behind the positions may be overlooked at most."""
        return min(LONGEST_REWIND, max(SHORTEST_REWIND, self._cost / REWIND_SHARE))

    def rewind(self) -> None:
        """Look from the start next time, if that is not too often."""
        self._behind = True

    def must_look_again(self, now: float) -> float | None:
        """Seconds until messages behind the positions must be looked for; None if never."""
        if not self._behind:
            return None
        return max(0.0, self._rewound + self.overlooks_for - now)

    def arguments(self, now: float) -> dict[str, list[Any]]:
        """The parameters ``queues``, ``ranks`` and ``seqs`` of the next claim.

        The queues are rotated from claim to claim, so that each is first in its turn. ``now`` in
        seconds of the monotonic clock.
        """
        self._from_start = now - self._rewound >= self.overlooks_for
        if self._from_start:
            self._positions = dict.fromkeys(self._positions, START)
        names = list(self._positions)
        if names:
            self._turn = (self._turn + 1) % len(names)
            names = names[self._turn :] + names[: self._turn]
        return {
            "queues": names,
            "ranks": [self._positions[name][0] for name in names],
            "seqs": [self._positions[name][1] for name in names],
        }

    def claimed(self, claimed: Sequence[Delivery], limit: int, began: float, now: float) -> None:
        """Take note of a claim's result and of the time it took, in seconds."""
        if self._from_start:
            # What counts is how much longer it took than a claim from a position does.
            self._rewound = now
            self._cost = max(0.0, now - began - self._usual)
            self._behind = False
        else:
            self._usual += ((now - began) - self._usual) * 0.1
        for delivery in claimed:
            position = (delivery.rank, delivery.seq)
            if position > self._positions.get(delivery.queue, START):
                self._positions[delivery.queue] = position
        if len(claimed) >= limit or not self._from_start:
            self._behind = True
