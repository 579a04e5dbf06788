"""What a worker does about limits: it asks for those of its messages that are limited."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from djtasks.codec import decode_call
from djtasks.lanes import LIMIT, ORDER, RATE
from djtasks.queue.admit import Asking
from djtasks.registry import registry
from djtasks.worker.behind import Behind
from djtasks.worker.rates import Rates

if TYPE_CHECKING:
    from collections.abc import Iterable

    from djtasks.lanes import Limits
    from djtasks.queue.delivery import Delivery
    from djtasks.queue.finish import Batch

logger = logging.getLogger("djtasks.worker")


class Admission:
    """Knows what the messages of a worker ask for, and which places they have left."""

    def __init__(self, rates: Rates | None = None, behind: Behind | None = None) -> None:
        self._rates = rates or Rates()
        self.behind = behind or Behind()
        self.freed: dict[str, int | None] = {}
        """Lanes in which a place may have become free since the last admission, and their sizes."""
        self.asking: list[Asking] = []

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to ask."""
        return bool(self.asking or self.freed)

    def sort(
        self, claimed: Iterable[Delivery], worker_id: int, room_behind: int = 0
    ) -> tuple[list[Delivery], dict[bytes, Delivery]]:
        """Those that nothing limits, and by id those that are to be asked for.

        What the latter ask for is in :attr:`asking`. Those of them that need not be asked for yet
        are kept, as far as there is ``room_behind``, and those returned whose time has come.
        """
        plain = []
        ordered = []
        limited: dict[bytes, Delivery] = {}
        self.asking = []
        # Looked up once for each task, for most have no limits: 1 us for each message else.
        found: dict[str, Limits | None] = {}
        for delivery in claimed:
            name = delivery.task
            if name in found:
                limits = found[name]
            else:
                limits = found[name] = self._limits_of(name)
            if limits is None and delivery.lane is None:
                plain.append(delivery)
            elif delivery.lane is not None and delivery.lane.startswith(ORDER):
                # Only where its row says so: others see by that that it comes before them.
                ordered.append(delivery)
            else:
                self._ask(delivery, limits, limited, worker_id)
        if ordered or len(self.behind):
            for delivery in self.behind.sift(ordered, worker_id, room_behind, time.monotonic()):
                self._ask(delivery, self._limits_of(delivery.task), limited, worker_id)
        return plain, limited

    def _ask(
        self,
        delivery: Delivery,
        limits: Limits | None,
        limited: dict[bytes, Delivery],
        worker_id: int,
    ) -> None:
        name = delivery.task
        lane = delivery.lane or _lane(delivery, limits)
        limited[delivery.id] = delivery._replace(lane=lane)
        gate = rate = None
        if limits is not None and (rate := self._rates.of(name)) is not None:
            gate = f"{RATE}{name}"
            if limits.scope == "worker":
                gate = f"{gate}@{worker_id}"
        self.asking.append(Asking(delivery.id, lane, _size(lane, limits), gate, rate))

    def sort_given(
        self, given: Iterable[Delivery], worker_id: int
    ) -> tuple[list[Delivery], dict[bytes, Delivery]]:
        """:meth:`sort`, of messages that have their place in a lane: only a rate may limit them."""
        plain: list[Delivery] = []
        rated: list[Delivery] = []
        for delivery in given:
            (plain if self._rates.of(delivery.task) is None else rated).append(delivery)
        limited: dict[bytes, Delivery] = {}
        self.asking = []
        for delivery in rated:
            self._ask(delivery, self._limits_of(delivery.task), limited, worker_id)
        return plain, limited

    def take(self) -> tuple[list[Asking], dict[str, int | None]]:
        """What is to be asked for, and the places that are free; they are not kept."""
        taken = self.asking, self.freed
        self.asking, self.freed = [], {}
        return taken

    def note_ends(self, batch: Batch) -> None:
        """Take note of the places that a turn has freed, once it is committed."""
        for entry in batch.entries:
            if entry.lane is not None:
                self.freed[entry.lane] = self.size_of(entry.lane, entry.task)
                self.behind.note_end(entry.lane)

    def note_refused(self, refused: Iterable[Delivery]) -> None:
        """Take note of the places that messages gave up because a rate did not let them through."""
        for delivery in refused:
            if delivery.lane is not None and self._rates.of(delivery.task) is not None:
                self.freed[delivery.lane] = self.size_of(delivery.lane, delivery.task)

    def size_of(self, lane: str, task: str) -> int | None:
        """How many messages of a lane may run, where one of this task is in it."""
        return _size(lane, self._limits_of(task))

    def _limits_of(self, name: str) -> Limits | None:
        task = registry.get(name)
        if task is None or not (task.limits.holds_back or name in self._rates):
            return None
        return task.limits


def _size(lane: str | None, limits: Limits | None) -> int | None:
    if lane is not None and lane.startswith(ORDER):
        return 1
    return None if limits is None or limits.keeps_order else limits.size


def _lane(delivery: Delivery, limits: Limits | None) -> str | None:
    """The lane of a message whose caller did not know its arguments, or not the limit."""
    if limits is None:
        return None
    try:
        args, kwargs = decode_call(delivery.payload or "[[],{}]")
        return limits.lane(args, kwargs)
    except (TypeError, ValueError) as error:
        logger.warning(
            "Task %s: what limits it cannot be told from its arguments; it is counted with all "
            "of its kind for which that is so: %s",
            delivery.task,
            error,
        )
        return f"{ORDER if limits.keeps_order else LIMIT}{delivery.task}"
