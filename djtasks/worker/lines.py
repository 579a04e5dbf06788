"""The lines of tenants in the queues of a worker: whose turn it is, and when it asks."""

from __future__ import annotations

from collections import Counter, defaultdict
from heapq import nlargest
from typing import TYPE_CHECKING, Any

from djtasks.conf import conf
from djtasks.queue.arrays import numbers, texts
from djtasks.queue.claim import LONGEST_REWIND, REWIND_SHARE, SHORTEST_REWIND, START
from djtasks.registry import registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from djtasks.queue.delivery import Delivery

LONG = 50
"""Messages that were taken from a line before the next are taken from behind those."""

SPOTS = 32
"""Lines of which the worker says how far it has come: each is looked at for each line served."""

UNSURE_EVERY = 10.0
"""Seconds between two looks for lines, by a worker that knows no task whose messages stand in any.

Somebody must fail those of tasks that nobody knows any more.
"""


class Lines:
    """Whose turn it is in each queue, and how far the claims have come in long lines.

    Times are seconds of the monotonic clock. The places are forgotten at intervals as those of
    :class:`djtasks.queue.claim.Positions` are, and for the same reasons.
    """

    def __init__(self) -> None:
        self.gives = False
        """Whether the last look found something."""
        self._after: dict[str, str] = {}
        self._spots: dict[tuple[str, str], tuple[int, int]] = {}
        self._taken: Counter[tuple[str, str]] = Counter()
        self._rewound = float("-inf")
        self._asked = float("-inf")
        self._cost = 0.0
        self._usual = 0.0
        self._from_start = True
        self._wide = False
        self._behind = False
        self._stirred = True
        self._turn = 0
        self._serves = False

    def start_over(self) -> None:
        """Take nothing for granted. The tasks of this process are known by now."""
        self._serves = registry.has_lines
        self._asked = self._rewound = float("-inf")
        self._stirred = True

    def stir(self) -> None:
        """Look at the next opportunity: there may be something in a line."""
        self._stirred = True

    @property
    def _is_sure(self) -> bool:
        return self._serves or self.gives

    @property
    def overlooks_for(self) -> float:
        """Seconds for which a message may be overlooked at most."""
        return min(LONGEST_REWIND, max(SHORTEST_REWIND, self._cost / REWIND_SHARE))

    def wants_to_look(self, now: float) -> bool:
        """Whether the lines are to be looked at."""
        if not self._is_sure:
            return now - self._asked >= UNSURE_EVERY
        if self.gives or self._wide or self._stirred:
            return True
        return now - self._asked >= self.overlooks_for

    def must_look_again(self, now: float) -> float | None:
        """Seconds until the lines must be looked at though nothing stirs the worker; or None."""
        if not self._is_sure:
            return None
        if self.gives or self._wide or self._stirred:
            return 0.0
        if not self._behind:
            return None
        return max(0.0, self._asked + self.overlooks_for - now)

    def arguments(
        self, queues: Sequence[str], limit: int, now: float, worker_id: int, unknown: Iterable[str]
    ) -> dict[str, Any]:
        """The parameters of ``fair.sql``, for up to ``limit`` messages of ``queues``."""
        # Before the look: what is announced while it is under way may have come after its snapshot.
        self._stirred = False
        self._from_start = now - self._rewound >= self.overlooks_for
        if self._from_start:
            self._spots.clear()
            self._taken.clear()
        self._turn = (self._turn + 1) % max(1, len(queues))
        names = [*queues[self._turn :], *queues[: self._turn]]
        long = [
            line
            for line in nlargest(SPOTS, self._taken, key=self._taken.__getitem__)
            if self._taken[line] >= LONG
        ]
        return {
            "queues": texts(names),
            "afters": texts([self._after.get(name, "") for name in names]),
            "spot_queues": texts([queue for queue, _ in long]),
            "spots": texts([fair for _, fair in long]),
            "ranks": numbers([self._spots[line][0] for line in long]),
            "seqs": numbers([self._spots[line][1] for line in long]),
            # All lines, if those that were looked at gave nothing: somebody else had them.
            "width": 2**31 - 1 if self._wide else limit,
            "limit": limit,
            "worker": worker_id,
            "unknown": texts(unknown),
            "unknown_timeout": conf.UNKNOWN_TASK_TIMEOUT,
        }

    def took(
        self, claimed: Sequence[Delivery], began: float, now: float, *, more: bool
    ) -> list[Delivery]:
        """Take note of what a look gave; returns it in the order of the turns.

        ``more``: nothing, although there is something in lines.
        """
        if self._from_start:
            self._rewound = now
            self._cost = max(0.0, now - began - self._usual)
        else:
            self._usual += ((now - began) - self._usual) * 0.1
        self._asked = now
        self._behind = more or not self._from_start
        self._wide = more and not self._wide
        self.gives = bool(claimed)
        lines: dict[tuple[str, str], list[Delivery]] = defaultdict(list)
        for delivery in claimed:
            lines[delivery.queue, delivery.fair or ""].append(delivery)
        for line, members in lines.items():
            place = (members[-1].rank, members[-1].seq)
            self._spots[line] = max(place, self._spots.get(line, START))
            self._taken[line] += len(members)
        queues: dict[str, list[str]] = defaultdict(list)
        for queue, fair in lines:
            queues[queue].append(fair)
        order: list[tuple[int, int, Delivery]] = []
        for queue, tenants in queues.items():
            after = self._after.get(queue, "")
            tenants.sort(key=lambda fair: (fair <= after, fair))
            for turn, fair in enumerate(tenants):
                order += [(n, turn, one) for n, one in enumerate(lines[queue, fair])]
        order.sort(key=lambda entry: entry[:2])
        # Whoever had one more than the others is behind them next time.
        self._after.update((one.queue, one.fair or "") for _, _, one in order)
        return [one for _, _, one in order]
