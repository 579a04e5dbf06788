"""Admission: which of the claimed messages their lanes and rates let through, and whom else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from djtasks.queue.arrays import nullable_numbers, nullable_texts, texts
from djtasks.queue.claim import taking
from djtasks.queue.sql import load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from djtasks.lanes import Rate

ADMIT = load("admit")
GIVEN = taking("given")
OPEN = load("open")
BLOCKING = load("blocking")


class Asking(NamedTuple):
    """What one claimed message asks for.

    ``lane`` is its line and ``size`` how many of that may run, None for no limit; ``gate`` the
    name under which its ``rate`` is counted, if it has one.
    """

    id: bytes
    lane: str | None
    size: int | None
    gate: str | None = None
    rate: Rate | None = None


class Admitted(NamedTuple):
    """What an admission tells.

    ``ids`` of those let through; ``given`` are ids of others that were claimed for the worker;
    ``ready`` the queues in which more became ready; ``opens_in`` is in how many seconds a rate
    lets the next one go, if one waits for that.
    """

    ids: Sequence[bytes]
    given: Sequence[bytes]
    ready: Sequence[str]
    opens_in: float | None


def admission(
    worker: int,
    asking: Sequence[Asking],
    freed: Mapping[str, int | None],
    *,
    patient: bool = True,
    room: int = 0,
    queues: Sequence[str] = (),
) -> dict[str, Any]:
    """The parameters of :data:`ADMIT`.

    ``freed`` are lanes in which a place may have become free, with their sizes. Of those that are
    let through the worker claims ``room`` at once that are in its ``queues``. Unless it is
    ``patient`` those let through that nobody has claimed yet do not count: nobody ever may.
    """
    rates = [one.rate for one in asking]
    return {
        "worker": worker,
        "ids": f"{{{','.join(one.id.hex() for one in asking)}}}",
        "lanes": nullable_texts([one.lane for one in asking]),
        "sizes": nullable_numbers([one.size for one in asking]),
        "rates": nullable_texts([one.gate for one in asking]),
        "intervals": nullable_numbers([None if rate is None else rate.interval for rate in rates]),
        "bursts": nullable_numbers([None if rate is None else rate.burst for rate in rates]),
        "freed": texts(freed),
        "freed_sizes": nullable_numbers(freed.values()),
        "patient": patient,
        "room": room,
        "queues": texts(queues),
    }
