"""When a worker looks for messages, where it looks, and whether it is to be woken."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from djtasks.conf import conf
from djtasks.queue.claim import Positions, taken
from djtasks.queue.outcome import Disposal
from djtasks.registry import registry
from djtasks.worker.lines import Lines
from djtasks.worker.rates import Rates
from djtasks.worker.shape import Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from djtasks.queue.delivery import Delivery
    from djtasks.queue.finish import Batch
    from djtasks.worker.options import WorkerOptions
    from djtasks.worker.turn import Turn

logger = logging.getLogger("djtasks.worker")

LONGEST_REST = 5.0
"""Seconds after which the worker looks for messages though nothing woke it.

Since its last look, not since it was last stirred: a look at the rates, every second, is none.
"""

QUEUES_EVERY = 1.0
"""Seconds between two looks for new queues, by a worker that serves all."""

PROMOTE_EVERY = 0.1
"""Seconds between two looks for due messages, by a worker that is not to be woken."""

OPEN_EVERY = 1.0
"""Seconds between two looks at the rates, by a worker that knows tasks with one."""

FIRST_POLL = 0.01
"""Seconds between the first two looks where notifications are impossible."""


class Intake:
    """Decides what the next turn claims, and what the last one says about the one after.

    ``hungry`` means that there may be messages which nothing would announce.
    """

    def __init__(self, options: WorkerOptions, shape: Shape | None = None) -> None:
        self._options = options
        self._shape = shape or Shape(options)
        self.positions = Positions()
        self.positions.set_queues(self._shape.queues or ())
        self.lines = Lines()
        self.rates = Rates()
        self._lines_first = False
        self.hungry = True
        self.claimed = 0
        self._woken = False
        self._full = False
        self._due_at: float | None = 0.0
        self._queues_at = 0.0
        self._notified: set[str] = set()
        self._poll = FIRST_POLL
        self._listens = True
        self._news = False
        self._due_news = False
        self._unknown: set[str] = set()
        self._opens_at: float | None = 0.0
        self._looked_at = 0.0

    @property
    def used_up(self) -> bool:
        """Whether this worker has claimed as many messages as it may."""
        most = self._options.max_tasks
        return most is not None and self.claimed >= most

    @property
    def satisfied(self) -> bool:
        """Whether nothing that is ready can have been overlooked, behind the positions either."""
        return (
            not self.hungry
            and self.positions.must_look_again(0.0) is None
            and self.lines.must_look_again(0.0) is None
        )

    def start_over(self) -> None:
        """Take nothing for granted: the connection or the worker's id is new."""
        self.hungry = True
        self._woken = False
        self._due_at = 0.0
        self.lines.start_over()

    def stir(self) -> None:
        """There may be something new to claim, in lines too."""
        self.hungry = True
        self.lines.stir()

    def reshaped(self) -> None:
        """Serve other queues, or run another number: what the shape says now."""
        queues = self._shape.queues
        if queues is None:
            queues = tuple(filter(self._shape.serves, self.positions.queues))
            self._queues_at = 0.0
        self.positions.set_queues(queues)
        self.start_over()

    def on_notify(self, channel: str, queue: str) -> None:
        """Take a notification: messages were committed, ready or for later."""
        # Also during a turn, whose claim may have been taken before.
        self.stir()
        self._news = True
        if channel == "djtasks_due":
            self._due_at = 0.0
            self._due_news = True
        if self._shape.queues is None and self._shape.serves(queue):
            self._notified.add(queue)
            self.positions.add_queue(queue)

    def wants_to_look(self, now: float) -> bool:
        """Whether there may be something to claim; ``now`` on the monotonic clock."""
        if self.used_up:
            return False
        if self.hungry or (self._due_at is not None and self._due_at <= now):
            return True
        if self.must_open(now):
            return True
        behind = self._behind_for(now)
        return behind is not None and behind <= 0

    def _behind_for(self, now: float) -> float | None:
        """Seconds until what may have been overlooked must be looked for; None if never."""
        found = (self.positions.must_look_again(now), self.lines.must_look_again(now))
        return min((seconds for seconds in found if seconds is not None), default=None)

    def longest_rest(self, now: float, *, listens: bool) -> float:
        """Seconds for which the worker may sleep if nothing stirs it."""
        rest = LONGEST_REST
        if not self.used_up:
            rest = min(rest, self._looked_at + LONGEST_REST - now)
        if self._due_at is not None:
            rest = min(rest, self._due_at - now)
        if self._opens_at is not None:
            rest = min(rest, self._opens_at - now)
        behind = self._behind_for(now)
        if behind is not None:
            rest = min(rest, behind)
        if not listens:
            # No notification can arrive: look by ourselves, ever more rarely.
            rest = min(rest, self._poll)
            self._poll = min(self._poll * 1.5, conf.POLL_INTERVAL)
            self.stir()
            self._due_at = 0.0
        return max(0.0, rest)

    def must_open(self, now: float) -> bool:
        """Whether a rate may let something go on by now."""
        return self._opens_at is not None and self._opens_at <= now

    def opens(self, seconds: float | None, now: float) -> None:
        """Learn in how many seconds a rate lets the next one go; None if none waits for that."""
        if not self.rates.any:
            self._opens_at = None
            return
        # Another worker may have blocked something meanwhile, or be gone that did.
        self._opens_at = now + min(OPEN_EVERY, OPEN_EVERY if seconds is None else seconds)

    def was_let_through(self, queues: Iterable[str]) -> None:
        """Look for what has become ready behind the positions."""
        if any(queue in self.positions for queue in queues):
            self.hungry = True
            self.positions.rewind()

    def exchanged(self, refused: int, given: int) -> None:
        """Count what an admission has taken from this worker, and what it gave it instead."""
        self.claimed += given - refused

    def rested(self, now: float) -> None:
        """The worker has rested: if it has not looked for long, for what nothing announced too."""
        if now - self._looked_at >= LONGEST_REST:
            self.stir()
            self._due_at = 0.0

    def room(self, room: int) -> int:
        """How many messages may be claimed where there is room for so many."""
        most = self._options.max_tasks
        return room if most is None else min(room, most - self.claimed)

    def plan(self, turn: Turn, room: int, now: float, *, listens: bool) -> Turn:
        """Fill in what a turn claims, where there is room for so many messages."""
        if turn.filled_queues:
            # What goes back may be ready at once, or due sooner than anything known of.
            self.stir()
            self._due_at = 0.0
        limit = self.room(room)
        if limit <= 0:
            return turn
        self._news = self._due_news = False
        self._looked_at = now
        turn.limit = limit
        turn.promote = self._due_at is not None and self._due_at <= now
        if turn.promote:
            self.positions.rewind()
            self.lines.stir()
        if self._shape.queues is None and (turn.promote or now >= self._queues_at):
            # What is promoted may be in a queue that had nothing ready before.
            turn.queues = []
            self._notified.clear()
        turn.claim = {**self.positions.arguments(now), "unknown": list(self._unknown)}
        self._listens = listens
        if listens and self._woken is self._is_full:
            # To be woken while claims come back short, and not while they come back full.
            turn.wants_work = not self._is_full
        return turn

    def done(self, turn: Turn, began: float, now: float) -> list[Delivery]:
        """Learn from a turn that was carried out; returns what it claimed."""
        if not turn.limit:
            return []
        met = turn.claimed
        claimed = taken(met)
        self.claimed += len(claimed)
        # What is held instead of taken is met once: there may be more behind it.
        self._full = len(met) >= turn.limit
        self.positions.claimed(met, turn.limit, began, now)
        asked = False
        if turn.wants_work is not None:
            self._woken = turn.wants_work
            asked = self._woken
        if turn.promote:
            self._due_at = None if turn.next_due is None else now + max(0.0, turn.next_due)
        if asked:
            # Look once more after asking to be woken: for what was committed before that.
            self._due_at = 0.0
        elif self._listens and not self._woken:
            soon = now + PROMOTE_EVERY
            self._due_at = soon if self._due_at is None else min(self._due_at, soon)
        if self._due_news:
            self._due_at = 0.0
        self.hungry = self._full or asked or self._flag_wrong or self._news
        if asked or self._news:
            self.lines.stir()
        if turn.queues is not None:
            self._queues_at = now + QUEUES_EVERY
            self._serve(turn.queues)
        if claimed:
            self._poll = FIRST_POLL
        return claimed

    @property
    def _is_full(self) -> bool:
        """Whether there was as much as there was room for; what is in lines has been looked at."""
        return self._full or self.lines.gives

    @property
    def _flag_wrong(self) -> bool:
        return self._listens and self._woken is self._is_full

    def lines_go_first(self, now: float) -> bool:
        """Whether the lines are looked at before what is in none, which else leaves no room.

        Every second time, so that neither waits for the end of the other.
        """
        self._lines_first = self._full and not self._lines_first and self.lines.wants_to_look(now)
        return self._lines_first

    def plan_lines(self, room: int, now: float, worker_id: int) -> dict[str, Any] | None:
        """The parameters of a look at the lines, where there is room for so many messages.

        None if there is to be none now.
        """
        limit = self.room(room)
        if limit <= 0 or not self.lines.wants_to_look(now):
            return None
        return self.lines.arguments(self.positions.queues, limit, now, worker_id, self._unknown)

    def done_lines(
        self, claimed: list[Delivery], began: float, now: float, *, more: bool
    ) -> list[Delivery]:
        """Learn from a look at the lines; returns what it gave in the order of the turns."""
        ordered = taken(self.lines.took(claimed, began, now, more=more))
        self.claimed += len(ordered)
        self.hungry = self.hungry or self.lines.gives or self._flag_wrong
        if ordered:
            self._poll = FIRST_POLL
        return ordered

    def _serve(self, ready: list[str]) -> None:
        before = set(self.positions.queues)
        if self._shape.queues is not None:
            # Told meanwhile to serve some only.
            return
        queues = {queue for queue in (*ready, *self._notified) if self._shape.serves(queue)}
        self.positions.set_queues(sorted(queues))
        if queues - before:
            self.stir()

    def known(
        self, claimed: Sequence[Delivery], worker_id: int, batch: Batch
    ) -> Sequence[Delivery]:
        """Put messages of unknown tasks back for a worker that knows them; return the others.

        One that nobody has known for ``UNKNOWN_TASK_TIMEOUT`` seconds is kept, to be failed.
        """
        timeout = conf.UNKNOWN_TASK_TIMEOUT
        kept = []
        for delivery in claimed:
            since = delivery.unknown_for
            if registry.get(delivery.task) is not None or (since or 0.0) >= timeout:
                kept.append(delivery)
                continue
            if delivery.task not in self._unknown:
                self._unknown.add(delivery.task)
                logger.warning(
                    "Task %s is not known to this worker; its messages wait for one that knows "
                    "it, for at most %g seconds (DJTASKS['UNKNOWN_TASK_TIMEOUT'])",
                    delivery.task,
                    timeout,
                )
            batch.add(
                Disposal.RELEASE,
                delivery,
                worker_id,
                '"deliveries":0,"delay":0,"unknown":true',
            )
        return kept
