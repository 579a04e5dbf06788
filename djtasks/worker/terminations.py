"""Ending single tasks that run: the children that run them are killed, and the tasks revoked."""

from __future__ import annotations

import logging
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from djtasks.execution.lost import Verdict
from djtasks.execution.request import uuid_text
from djtasks.worker.member import Assignment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from djtasks.queue.delivery import Delivery
    from djtasks.worker.crew import Crew
    from djtasks.worker.member import Member

logger = logging.getLogger("djtasks.worker")

RECALL_AFTER = 0.5
"""Seconds after which a child is asked once more for what it has not begun."""

KILL_AFTER = 5.0
"""Seconds that a signal is given to end a child before the child is killed."""


@dataclass(slots=True)
class Sentence:
    """One task that is to end: by which signal, and when that was sent to which message."""

    number: int
    token: int = 0
    sent_at: float = 0.0
    recalled_at: float = float("-inf")


class Terminations:
    """The tasks of one crew that somebody wants ended.

    One that runs loses its child, one that has not begun is never begun. A task that ends by
    itself meanwhile keeps its end. In the pools threads and solo one that runs is left to end.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._sentences: dict[bytes, Sentence] = {}
        self._claiming = False
        self.outgoing: Callable[[], Iterable[str]] = tuple
        self.pass_on: Callable[[Mapping[bytes, int]], None] = lambda numbers: None

    def __bool__(self) -> bool:
        """Whether there is something to be looked after."""
        return bool(self._sentences)

    @contextmanager
    def while_claiming(self) -> Iterator[None]:
        """A turn: what it claims may be ordered to end before this crew has heard of it."""
        self._claiming = True
        try:
            yield
        finally:
            self._claiming = False
            if self._sentences:
                self.look(time.monotonic())

    def order(self, numbers: Mapping[bytes, int]) -> None:
        """Have tasks ended by a signal, by their ids.

        Those that have left this crew are passed on, once what it was about to write is written:
        one that was given back must not run after all. What runs in the pools threads and solo is
        asked to end, in its row.
        """
        for id, number in numbers.items():
            self._sentences.setdefault(id, Sentence(number))
        self.look(time.monotonic())

    def look(self, now: float) -> None:
        """Send what is to be sent; ``now`` on the monotonic clock."""
        crew = self._crew
        for assignment in list(crew.hand):
            revoked = self.sentenced(assignment)
            if revoked is not None:
                crew.hand.remove(assignment)
                crew.post_mortem.append(revoked)
        for assignment in list(crew.behind):
            revoked = self.sentenced(assignment)
            if revoked is not None:
                crew.behind.remove(assignment)
                crew.post_mortem.append(revoked)
        for member in crew.members.values():
            self._recall(member, now)
            for slot in member.slots:
                self._look_at(member, slot, now)
        # A claim is committed before its answer is here: others see whose it is, and order its end.
        if self._sentences and not self._claiming:
            here = crew.cared_for().union(map(bytes.fromhex, self.outgoing()))
            gone = {id: s.number for id, s in self._sentences.items() if id not in here}
            if gone:
                self._sentences = {id: s for id, s in self._sentences.items() if id in here}
                self.pass_on(gone)

    def record(self, ended: Iterable[Delivery], numbers: Mapping[bytes, int], owner: int) -> None:
        """Have a child record messages as terminated that were taken for that."""
        for delivery in ended:
            why = (Verdict.FAIL.value, "terminated", (numbers[delivery.id], None))
            self._crew.post_mortem.append(Assignment(delivery, owner, None, why))

    def sentenced(self, assignment: Assignment, seconds: float | None = None) -> Assignment | None:
        """What is to be recorded of a message that is to end; None if it is to live.

        ``seconds``: for how long it has run.
        """
        if assignment.lost is not None or not self._sentences:
            return None
        sentence = self._sentences.pop(assignment.delivery.id, None)
        if sentence is None:
            return None
        delivery = assignment.delivery
        logger.warning(
            "Task %s[%s] was terminated by %s",
            delivery.task,
            delivery.custom_id or uuid_text(delivery.id),
            signal.Signals(sentence.number).name,
        )
        detail = (sentence.number, seconds)
        return assignment._replace(lost=(Verdict.FAIL.value, "terminated", detail))

    def _recall(self, member: Member, now: float) -> None:
        """Have a child give back what has not begun, if something of that is to end."""
        running = {self._crew.board.running(slot)[0] for slot in member.slots}
        unbegun = [
            sentence
            for token, assignment in member.held.items()
            if token not in running and assignment.lost is None
            if (sentence := self._sentences.get(assignment.delivery.id)) is not None
        ]
        if any(now - sentence.recalled_at > RECALL_AFTER for sentence in unbegun):
            for sentence in unbegun:
                sentence.recalled_at = now
            member.recall(self._crew.nursery)

    def _look_at(self, member: Member, slot: int, now: float) -> None:
        token, _seconds = self._crew.board.running(slot)
        assignment = member.held.get(token)
        nursery = self._crew.nursery
        if assignment is None or assignment.lost is not None or nursery is None:
            return
        sentence = self._sentences.get(assignment.delivery.id)
        if sentence is None:
            return
        if sentence.token != token:
            sentence.token, sentence.sent_at = token, now
            nursery.terminate(member.index, slot, token, sentence.number)
        elif now - sentence.sent_at > KILL_AFTER:
            sentence.sent_at = now
            nursery.terminate(member.index, slot, token, signal.SIGKILL)
