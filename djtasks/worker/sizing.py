"""Bringing a crew to the size that its worker is to have: children start, and others leave."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from djtasks.worker.autoscale import Autoscaler
    from djtasks.worker.crew import Crew

logger = logging.getLogger("djtasks.worker")


def fit(crew: Crew) -> None:
    """Start children, or let some end when they have run what they run, as the shape says."""
    if crew.shape.pool == "threads":
        for member in crew.members.values():
            member.resize(crew.shape.slots)
        return
    staying = [member for member in crew.members.values() if not member.leaving]
    surplus = len(staying) + len(crew.missing) - crew.shape.processes
    for index in range(crew.shape.processes + len(crew.members)):
        if surplus >= 0:
            break
        if index not in crew.members and index not in crew.missing:
            crew.add(index)
            surplus += 1
    # First those that are not there at this moment, then those with the least to do.
    for index in sorted(crew.missing, reverse=True)[: max(0, surplus)]:
        del crew.missing[index]
        surplus -= 1
    staying.sort(key=lambda member: (len(member.held), -member.index))
    for member in staying[: max(0, surplus)]:
        member.leave(for_good=True)


def scale(crew: Crew, autoscaler: Autoscaler, now: float) -> bool:
    """Run more or fewer tasks at once, where a worker was asked to scale itself; if it does."""
    shape = crew.shape
    if shape.autoscale is None:
        return False
    size = autoscaler.size(now, shape.concurrency, crew.occupied, *shape.autoscale)
    if size == shape.concurrency:
        return False
    logger.info("Scaling from %d to %d tasks at once", shape.concurrency, size)
    shape.resize(size)
    return True


def replace_all(crew: Crew) -> None:
    """Have each child end when it has run what it runs, and another start in its place."""
    for member in crew.members.values():
        if not member.leaving:
            member.leave(for_good=False)
