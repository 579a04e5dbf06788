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

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from djtasks.worker.crew import Crew
    from djtasks.worker.member import Assignment, Member

logger = logging.getLogger("djtasks.worker")

KILL_AFTER = 5.0
"""Seconds that a signal is given to end a child before the child is killed."""


@dataclass(slots=True)
class Sentence:
    """One task that is to end: by which signal, and when that was sent to which message."""

    number: int
    token: int = 0
    sent_at: float = 0.0


class Terminations:
    """The tasks of one crew that somebody wants ended.

    One that runs loses its child, one that has not begun is never begun. A task that ends by
    itself meanwhile keeps its end. In the pools threads and solo one that runs is left to end.
    """

    def __init__(self, crew: Crew, pool: str) -> None:
        self._crew = crew
        self._pool = pool
        self._sentences: dict[bytes, Sentence] = {}
        self._claims = False
        self._may_come: set[bytes] = set()

    def __bool__(self) -> bool:
        """Whether there is something to be looked after."""
        return bool(self._sentences)

    def order(self, numbers: Mapping[bytes, int]) -> None:
        """Have tasks ended by a signal, by their ids.

        Those not in this crew's care are passed, unless a claim is under way that may bring them.
        """
        cared_for = self._crew.cared_for()
        if self._claims:
            self._may_come |= numbers.keys() - cared_for
        for id, number in numbers.items():
            if id in cared_for or id in self._may_come:
                self._sentences.setdefault(id, Sentence(number))
        if self._pool != "prefork" and self._sentences:
            # What runs is asked to end, in its row; what has not begun comes back and never will.
            for member in self._crew.members.values():
                member.recall(self._crew.nursery)
        self.look(time.monotonic())

    @contextmanager
    def claiming(self) -> Iterator[None]:
        """A block in which messages are claimed.

        Once that is committed people see who has a message, and may order its end before the crew
        has it: such an order is kept until the end of the block.
        """
        self._claims = True
        try:
            yield
        finally:
            self._claims = False
            if self._may_come:
                self._may_come.clear()
                self._forget()

    def look(self, now: float) -> None:
        """Send what is to be sent; ``now`` on the monotonic clock."""
        crew = self._crew
        for assignment in list(crew.hand):
            revoked = self.sentenced(assignment)
            if revoked is not None:
                crew.hand.remove(assignment)
                crew.post_mortem.append(revoked)
        for member in crew.members.values():
            for slot in member.slots:
                self._look_at(member, slot, now)
        if self._sentences:
            self._forget()

    def _forget(self) -> None:
        """Pass what has left this crew's care."""
        kept = self._crew.cared_for() | self._may_come
        self._sentences = {id: s for id, s in self._sentences.items() if id in kept}

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
