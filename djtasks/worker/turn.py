"""One turn of a worker: what it writes and claims in one round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from djtasks.conf import conf
from djtasks.queue.arrays import numbers, texts

if TYPE_CHECKING:
    from djtasks.queue.delivery import Delivery
    from djtasks.queue.finish import Batch


class Turn:
    """What one turn asks for, and what came of it."""

    __slots__ = (
        "batch",
        "claim",
        "claimed",
        "fed_queues",
        "filled_queues",
        "given_away",
        "limit",
        "next_due",
        "promote",
        "queues",
        "wants_work",
    )

    def __init__(
        self,
        batch: Batch,
        *,
        limit: int = 0,
        claim: dict[str, list[Any]] | None = None,
        promote: bool = False,
        queues: bool = False,
        wants_work: bool | None = None,
    ) -> None:
        self.batch = batch
        self.filled_queues = batch.filled_queues()
        self.limit = limit
        self.claim = claim or {}
        self.promote = promote
        self.queues: list[str] | None = [] if queues else None
        self.wants_work = wants_work
        self.claimed: list[Delivery] = []
        self.next_due: float | None = None
        self.given_away = 0
        self.fed_queues: set[str] = set()

    @property
    def only_claims(self) -> bool:
        """Whether the turn is a claim and nothing else."""
        more = self.promote or self.wants_work is not None or self.queues is not None
        return bool(self.limit) and not more and not len(self.batch)

    def fed_queues_for_others(self) -> list[str]:
        """The queues in which more became ready than this turn has claimed, as far as it knows."""
        if self.limit and len(self.claimed) < self.limit:
            return sorted(self.fed_queues.difference(self.claim["queues"]))
        return sorted(self.fed_queues)

    def claim_of(self, worker_id: int) -> dict[str, Any]:
        """The parameters of the claim."""
        claim = self.claim
        return {
            # psycopg's own conversion of these lists takes 0.1 ms of an idle worker's answer.
            "queues": texts(claim["queues"]),
            "ranks": numbers(claim["ranks"]),
            "seqs": numbers(claim["seqs"]),
            "unknown": texts(claim["unknown"]),
            "worker": worker_id,
            "limit": self.limit,
            "unknown_timeout": conf.UNKNOWN_TASK_TIMEOUT,
        }
