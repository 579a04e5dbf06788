"""Time limits of what a crew runs: of the call, set for the task, in its code, of the worker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from djtasks.registry import registry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from djtasks.queue.delivery import Delivery
    from djtasks.worker.options import WorkerOptions


class TimeLimits:
    """Hard limits are kept by the parent, soft ones by the children; all in seconds.

    ``hard`` and ``soft`` have what somebody has set for tasks, by name.
    """

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self.hard: dict[str, float] = {}
        self.soft: dict[str, float] = {}

    def set(self, rows: Iterable[tuple[str, float | None, float | None]]) -> None:
        """Take what is set: names, hard limits, soft limits."""
        rows = list(rows)
        self.hard = {name: hard for name, hard, _soft in rows if hard}
        self.soft = {name: soft for name, _hard, soft in rows if soft}

    def of(self, delivery: Delivery) -> float | None:
        """The hard limit of a message; None for none."""
        if self._options.pool != "prefork":
            return None
        if delivery.options is not None and "timelimit" in delivery.options:
            try:
                limits = json.loads(delivery.options).get("timelimit")
                if limits and limits[0]:
                    return float(limits[0])
            except (ValueError, TypeError, AttributeError):
                # A broken row: the child that is given it says so in its result.
                return None
        if self.hard and delivery.task in self.hard:
            return self.hard[delivery.task]
        task = registry.get(delivery.task)
        limit = task.option("time_limit") if task is not None else None
        return limit or self._options.time_limit
