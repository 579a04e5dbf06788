"""The children of one worker: what they hold, what they report, what becomes of the lost."""

from __future__ import annotations

import logging
import select
import signal
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from djtasks import signals
from djtasks.execution.lost import Cause
from djtasks.execution.request import uuid_text
from djtasks.queue.outcome import Disposal
from djtasks.states import FAILURE
from djtasks.worker.beating import Beating
from djtasks.worker.behind import Behind
from djtasks.worker.board import CAPACITY, Board
from djtasks.worker.dealing import share_out
from djtasks.worker.losses import describe_status, fail, settle
from djtasks.worker.member import Assignment, Member
from djtasks.worker.pace import Pace
from djtasks.worker.tally import FAILED, UNTIMED, Tally
from djtasks.worker.terminations import Terminations
from djtasks.worker.timelimits import TimeLimits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from djtasks.queue.delivery import Delivery
    from djtasks.queue.finish import Batch
    from djtasks.worker.nursery import Nursery
    from djtasks.worker.options import WorkerOptions
    from djtasks.worker.shape import Shape
    from djtasks.worker.tally import Mark

logger = logging.getLogger("djtasks.worker")

GOODBYE = 0.7
"""Seconds that idle children have to end by themselves when the worker does."""

RESTART_PAUSE = 1.0
"""Seconds before a child is started again that ended before it was ready."""


class Crew:
    """Hands messages to the children and collects their outcomes.

    Every message that was claimed is somewhere here: held by a child, or in hand. It leaves with
    an outcome in the batch that is written next.
    """

    def __init__(self, options: WorkerOptions, shape: Shape, nursery: Nursery | None) -> None:
        self._options = options
        self.shape = shape
        self.limits = TimeLimits(options)
        self.nursery = nursery
        self.pace = Pace(options.prefetch)
        self.board = Board.create(CAPACITY)
        self.members: dict[int, Member] = {}
        self.hand: deque[Assignment] = deque()
        self.behind = Behind()
        self.post_mortem: deque[Assignment] = deque()
        self.terminations = Terminations(self)
        self.tally = Tally()
        self.beating = Beating(options, nursery)
        self.owner = 0
        self.missing: dict[int, float] = {}
        self._exited: set[int] = set()
        self._last_token = 0

    # --- members ---------------------------------------------------------------------------

    def start(self) -> None:
        """Start every child."""
        for index in range(self.shape.processes):
            self.add(index)

    def add(self, index: int) -> None:
        """Start the child of this number."""
        slots = self.shape.slots
        has_threads = self.shape.pool == "threads"
        member = Member(index, range(index * slots, (index + 1) * slots), has_threads=has_threads)
        for slot in member.slots:
            self.board.end(slot)
        member.send(
            {
                **self._options.for_child(),
                "owner": self.owner,
                "slots": slots,
                "first_slot": member.slots.start,
                "board_slots": self.board.slots,
                "soft_limits": self.limits.soft,
            }
        )
        self.members[index] = member
        signals.worker_before_create_process.emit(None)
        if self.nursery is not None:
            self.nursery.start(index, self.board.slots, member.theirs, self.board)
            member.theirs.close()

    def news(self, batch: Batch) -> None:
        """Take what the forker tells: children that started and that ended."""
        if self.nursery is None:
            return
        for what, index, pid, *rest in self.nursery.news():
            self.beating.hear(index, what)
            member = self.members.get(index)
            if member is None:
                continue
            if what == "started":
                member.pid = pid
            else:
                self._ended(member, rest[0], batch)
        if self.nursery.lost:
            logger.error("The process that starts the children was lost; starting another")
            self.nursery.reap()
            self.beating.ended()
            for member in list(self.members.values()):
                # The kernel kills the children of a forker that died; what they still said
                # before that counts.
                member.drain(self.collect_from, batch)
                self._ended(member, -signal.SIGKILL, batch)
            self.nursery.relaunch()

    def restart_missing(self, now: float) -> None:
        """Start the children again that ended, those that never became ready after a pause."""
        for index, due in list(self.missing.items()):
            if due <= now and self.nursery is not None and not self.nursery.lost:
                del self.missing[index]
                self.add(index)

    def _ended(self, member: Member, status: int, batch: Batch) -> None:
        self.collect_from(member, batch)
        del self.members[member.index]
        member.close()
        running = dict(map(self.board.running, member.slots))
        now = time.monotonic()
        for token, assignment in member.held.items():
            if token in running:
                self._lost(token, assignment, member, status, running[token], batch)
            else:
                self._take_in_hand(assignment)
        if member.leaving:
            return
        if member.ready or member.retiring:
            self.missing[member.index] = now
        else:
            logger.error("A child ended with status %s before it was ready", status)
            self.missing[member.index] = now + RESTART_PAUSE

    def _lost(
        self,
        token: int,
        assignment: Assignment,
        member: Member,
        status: int,
        seconds: float,
        batch: Batch,
    ) -> None:
        """Decide on the message that a child had been running for ``seconds`` when it ended."""
        revoked = self.terminations.sentenced(assignment, seconds)
        if revoked is not None:
            self.post_mortem.append(revoked)
            return
        delivery = assignment.delivery
        why: tuple[str, Any]
        if member.killing is not None and member.killing[0] == token:
            cause, why = Cause.TIME_LIMIT, ("limit", member.killing[1])
            text = f"Hard time limit ({member.killing[1]}s) exceeded"
        else:
            text = f"Worker exited prematurely: {describe_status(status)} Job: {token}."
            cause, why = Cause.CHILD, ("lost", text)
        name = delivery.custom_id or uuid_text(delivery.id)
        logger.error("Task %s[%s]: %s", delivery.task, name, text)
        if assignment.lost is not None:
            # The child died while it recorded an earlier loss: record that without handlers.
            self._fail(assignment, batch)
            return
        self._settle(assignment, cause, why, seconds, batch)

    def _fail(self, assignment: Assignment, batch: Batch) -> None:
        """Record a loss here, where no child can do it with the task's handlers."""
        delivery = assignment.delivery
        if fail(assignment, batch) == FAILURE:
            self.tally.add([(delivery.queue, delivery.task, (FAILED, UNTIMED, 0.0))])

    def _take_in_hand(self, assignment: Assignment) -> None:
        """Take a message in hand that no child has begun, or a loss that none has recorded."""
        lost = (
            assignment if assignment.lost is not None else self.terminations.sentenced(assignment)
        )
        if lost is None:
            self.hand.append(assignment)
        else:
            # Not in hand: from there it could go back to the queue, and run a second time.
            self.post_mortem.append(lost)

    def _settle(
        self,
        assignment: Assignment,
        cause: Cause,
        why: tuple[str, Any],
        seconds: float,
        batch: Batch,
    ) -> None:
        to_record = settle(assignment, cause, why, seconds, batch)
        if to_record is not None:
            self.post_mortem.append(to_record)

    # --- handing out -----------------------------------------------------------------------

    def room(self) -> int:
        """How many messages more the children can be given."""
        ahead = self.pace.ahead()
        total = 0
        for member in self.members.values():
            if member.ready and not member.retiring and member.recalled is None:
                total += max(0, ahead * member.places - len(member.held))
        return max(0, total - len(self.hand) - len(self.behind) - len(self.post_mortem))

    def room_behind(self) -> int:
        """How many messages may wait here for those before them: none where tasks take long."""
        ahead = self.pace.ahead()
        return 0 if ahead <= 1 else ahead * self.shape.concurrency // 2

    def limit(self, rows: Iterable[tuple[str, float | None, float | None]]) -> None:
        """Keep these limits of tasks: names, hard limits, soft limits, in seconds."""
        self.limits.set(rows)
        for member in self.members.values():
            member.send(("limits", self.limits.soft))

    def own_as(self, owner: int) -> None:
        """Claim for this worker id from now on; the children fence with it what they store."""
        self.owner = owner
        for member in self.members.values():
            member.send(owner)

    def take(self, deliveries: Iterable[Delivery], owner: int) -> None:
        """Take claimed messages in hand."""
        for delivery in deliveries:
            self._take_in_hand(Assignment(delivery, owner, self.limits.of(delivery), None))

    def deal(self) -> None:
        """Hand out what is in hand: losses first, then messages in their order.

        A child whose message turned out long is passed over, and so is one that is full; what
        nobody can take stays in hand.
        """
        if not self.hand and not self.post_mortem:
            return
        ahead = self.pace.ahead()
        free: list[tuple[Member, int]] = []
        for member in self.members.values():
            if member.ready and not member.retiring and member.recalled is None:
                room = ahead * member.places - len(member.held)
                if room > 0:
                    free.append((member, room))
        if not free:
            return
        free.sort(key=lambda pair: -pair[1])
        shares = share_out([room for _member, room in free], self._next)
        for (member, _room), share in zip(free, shares, strict=True):
            if share:
                member.give(share)

    def _next(self) -> tuple[int, Assignment] | None:
        while queue := self.post_mortem or self.hand:
            assignment = queue.popleft()
            # What was claimed under an id that others have given up is theirs by now.
            if assignment.owner == self.owner:
                self._last_token += 1
                return self._last_token, assignment
        return None

    def release_all(self, batch: Batch) -> None:
        """Give back to the queue what no child has, as nothing more is to begin."""
        self.hand.extend(self.behind)
        self.behind.clear()
        self.release_hand(batch)

    def release_hand(self, batch: Batch) -> None:
        """Give back to the queue what no child can take now."""
        while self.hand:
            assignment = self.hand.popleft()
            batch.add(
                Disposal.RELEASE, assignment.delivery, assignment.owner, '"deliveries":0,"delay":0'
            )

    # --- collecting ------------------------------------------------------------------------

    def collect(self, batch: Batch) -> None:
        """Take the outcomes that have arrived."""
        for member in self.members.values():
            # One that holds nothing has nothing to say.
            if member.held or not member.ready:
                self.collect_from(member, batch)

    def collect_from(self, member: Member, batch: Batch) -> None:
        """Take the outcomes of one child."""
        held = member.held
        runs: list[tuple[float, int]] = []
        counted: list[tuple[str, str, Mark]] = []
        add = batch.add
        for token, disposal, text, linked, seconds, fed, marked in member.reader.available():
            if token:
                assignment = held.pop(token, None)
                # A slot is free again, whichever it is.
                member.recalled = None
                if assignment is None:
                    continue
                delivery, owner, _limit, _lost = assignment
                add(disposal, delivery, owner, text, linked, fed)
                if marked is not None:
                    counted.append((delivery.queue, delivery.task, marked))
                runs.append((seconds, len(delivery.payload or "")))
            elif disposal == "ready":
                member.ready = True
            else:
                for unbegun in text:
                    assignment = held.pop(unbegun, None)
                    if assignment is not None:
                        self._take_in_hand(assignment)
                if disposal == "worn out":
                    member.retiring = True
        if runs:
            self.pace.learn(runs)
            self.tally.add(counted)

    # --- the end ---------------------------------------------------------------------------

    @property
    def occupied(self) -> int:
        """How many of its places hold messages."""
        return sum(min(len(m.held), m.places) for m in self.members.values() if not m.leaving)

    @property
    def busy(self) -> bool:
        """Whether a child holds a message, or one is in hand."""
        waits = self.hand or len(self.behind) or self.post_mortem
        return bool(waits) or any(member.held for member in self.members.values())

    def kill(self, batch: Batch) -> None:
        """End every child at once and decide on everything that it held."""
        if self.nursery is not None:
            for index in self.members:
                self.nursery.signal(index, signal.SIGKILL)
            self._await_ends(5)
        for member in list(self.members.values()):
            self.collect_from(member, batch)
            running = dict(map(self.board.running, member.slots))
            for token, assignment in member.held.items():
                if assignment.lost is not None:
                    self._fail(assignment, batch)
                elif token not in running:
                    self.hand.append(assignment)
                elif (revoked := self.terminations.sentenced(assignment)) is not None:
                    self._fail(revoked, batch)
                else:
                    why = ("lost", "The worker was told to stop at once while the task ran.")
                    self._settle(assignment, Cause.STOPPED, why, running[token], batch)
            member.held.clear()
        while self.post_mortem:
            assignment = self.post_mortem.popleft()
            if assignment.lost is not None:
                self._fail(assignment, batch)
        self.release_all(batch)

    def _await_ends(self, seconds: float) -> None:
        """Wait until the forker has reaped the children: only then do they write no more."""
        nursery = self.nursery
        alive = set(self.members) - self._exited
        deadline = time.monotonic() + seconds
        while nursery is not None and alive and not nursery.lost and time.monotonic() < deadline:
            select.select([nursery.control], [], [], 0.1)
            self._exited |= {index for what, index, *_rest in nursery.news() if what == "exited"}
            alive -= self._exited

    def is_starting(self) -> bool:
        """Whether a child is missing or not ready yet."""
        return bool(self.missing) or any(not m.ready for m in self.members.values())

    def close(self) -> None:
        """Let the children end: those that hold nothing are gone at once."""
        self.beating.end()
        for member in self.members.values():
            member.close()
        if self.nursery is not None:
            # Time to say goodbye: receivers of worker_process_shutdown, buffered output.
            self._await_ends(GOODBYE)
            self.nursery.close()

    def cared_for(self) -> set[bytes]:
        """The ids of all messages in this worker's care."""
        assignments: list[Assignment] = [*self.hand, *self.behind, *self.post_mortem]
        for member in self.members.values():
            assignments += member.held.values()
        return {assignment.delivery.id for assignment in assignments}
