"""From claimed to handed out: lines are claimed from, and limits asked, before anything begins."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg

from djtasks.queue.admit import admission

if TYPE_CHECKING:
    from collections.abc import Callable

    from djtasks.queue.delivery import Delivery
    from djtasks.worker.admission import Admission
    from djtasks.worker.crew import Crew
    from djtasks.worker.intake import Intake
    from djtasks.worker.link import Link


class Taking:
    """Has what a worker claims begin, as far as nothing limits it.

    Every method is False where the link to the database is lost; what was claimed and is in
    nobody's care is given back when it is made anew. ``worker_id`` is the one of the claim.
    """

    def __init__(
        self,
        link: Link,
        intake: Intake,
        crew: Crew,
        admission: Admission,
        may_claim: Callable[[], bool],
    ) -> None:
        self.link = link
        self.intake = intake
        self.crew = crew
        self.admission = admission
        self._may_claim = may_claim

    async def serve_lines(self, worker_id: int) -> bool:
        """Claim what there is room for from the lines, if it is time; False if the link is lost."""
        began = time.monotonic()
        asked = self.intake.plan_lines(self.crew.room(), began, worker_id)
        if asked is None:
            return True
        try:
            claimed, more = await self.link.session.claim_in_turn(asked)
        except psycopg.Error as error:
            await self.link.interrupted(error)
            self.intake.start_over()
            return False
        ordered = self.intake.done_lines(claimed, began, time.monotonic(), more=more)
        return await self.begin(ordered, worker_id)

    async def begin(self, claimed: list[Delivery], worker_id: int) -> bool:
        """Have what was claimed begin as far as nothing limits it; False if the link is lost."""
        known = self.intake.known(claimed, worker_id, self.link.batch) if claimed else claimed
        plain, limited = self.admission.sort(known, worker_id, self.crew.room_behind())
        if plain:
            self.crew.take(plain, worker_id)
            self.crew.deal()
        return not self.admission.is_needed or await self._admit(limited, worker_id)

    async def _admit(self, limited: dict[bytes, Delivery], worker_id: int) -> bool:
        """Have those begin that what limits them lets through, and others in the places left.

        False if the link is lost.
        """
        intake, crew = self.intake, self.crew
        asking, freed = self.admission.take()
        room = intake.room(crew.room() - len(limited)) if self._may_claim() else 0
        asked = admission(
            worker_id, asking, freed, room=max(0, room), queues=intake.positions.queues
        )
        try:
            ruling = await self.link.session.admit(asked, worker_id)
            admitted = ruling.admitted
            full = len(ruling.given) >= room
            others = [q for q in admitted.ready if full or q not in intake.positions]
            await self.link.session.wake(others)
        except psycopg.Error as error:
            # What was claimed and is in nobody's care is given back when the connection is made.
            self.admission.freed.update(freed)
            await self.link.interrupted(error)
            intake.start_over()
            return False
        let = [limited.pop(id) for id in admitted.ids if id in limited]
        self.admission.note_refused(limited.values())
        intake.exchanged(len(limited), len(ruling.given))
        intake.was_let_through(admitted.ready)
        if admitted.opens_in is not None:
            intake.opens(admitted.opens_in, time.monotonic())
        given = intake.known(ruling.given, worker_id, self.link.batch)
        plain, rated = self.admission.sort_given(given, worker_id)
        if let or plain:
            self.admission.behind.note_begun(let + plain)
            crew.take(let + plain, worker_id)
            crew.deal()
        return not rated or await self._admit(rated, worker_id)

    async def open(self) -> bool:
        """Let messages go on whose rate allows it; False if the connection is lost."""
        try:
            ready, opens_in = await self.link.session.open()
            await self.link.session.wake(
                queue for queue in ready if queue not in self.intake.positions
            )
        except psycopg.Error as error:
            await self.link.interrupted(error)
            self.intake.start_over()
            return False
        self.intake.opens(opens_in, time.monotonic())
        self.intake.was_let_through(ready)
        return True
