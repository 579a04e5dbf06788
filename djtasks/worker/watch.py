"""Looking after what runs: long messages, what waits behind them, and hard limits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from djtasks.worker.crew import Crew
    from djtasks.worker.member import Member

STUCK_AFTER = 0.05
"""Seconds after which a running message is long, and what waits behind it is recalled."""


class Watch:
    """Reads the board of a crew, recalls what waits, and has overdue messages killed."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    def is_needed(self) -> bool:
        """Whether a child holds more than it runs, or runs something that is to be ended."""
        if self._crew.terminations:
            return True
        for member in self._crew.members.values():
            if len(member.held) > member.places or member.has_unsent:
                return True
            if any(assignment.limit is not None for assignment in member.held.values()):
                return True
        return False

    def look(self) -> None:
        """Look once at every child."""
        if self._crew.terminations:
            self._crew.terminations.look(time.monotonic())
        for member in self._crew.members.values():
            if member.has_unsent:
                member.flush()
            if member.held:
                self._look_at(member)

    def _look_at(self, member: Member) -> None:
        running = [self._crew.board.running(slot) for slot in member.slots]
        if member.recalled not in member.held:
            # Answered already, between the look at the board and now.
            member.recalled = None
        for slot, (token, seconds) in zip(member.slots, running, strict=True):
            self._limit(member, slot, token, seconds)
        # A token may still be on the board after its outcome was collected.
        stuck = [token for token, s in running if s > STUCK_AFTER and token in member.held]
        if len(stuck) >= member.places:
            if len(member.held) > member.places:
                self._recall(member, stuck[0])
            else:
                member.recalled = stuck[0]

    def _limit(self, member: Member, slot: int, token: int, seconds: float) -> None:
        assignment = member.held.get(token)
        nursery = self._crew.nursery
        if assignment is None or nursery is None:
            return
        limit = assignment.limit
        if limit is not None and seconds > limit and member.killing is None:
            member.killing = (token, limit)
            nursery.kill_if(member.index, slot, token, limit)
        elif member.killing is not None and member.killing[0] != token:
            member.killing = None

    def recall_all(self) -> None:
        """Ask every child for what it has not begun."""
        for member in self._crew.members.values():
            token = self._crew.board.running(member.slots.start)[0]
            if len(member.held) > 1 and token in member.held:
                self._recall(member, token)

    def _recall(self, member: Member, token: int) -> None:
        """Ask a child for what it has not begun."""
        member.recalled = token
        member.recall(self._crew.nursery)
