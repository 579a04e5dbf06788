"""How often tasks may start: as somebody has set it for all workers, else as their code says."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from djtasks.conf import conf
from djtasks.lanes import rate_of
from djtasks.registry import registry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from djtasks.lanes import Rate

logger = logging.getLogger("djtasks.worker")


class Rates:
    """The rates of tasks by their names. What is set is read by one thread and used by others."""

    def __init__(self) -> None:
        self._set: dict[str, Rate | None] = {}

    def set(self, rows: Iterable[tuple[str, str | None]]) -> None:
        """Take what is set: names and rates as Celery writes them; None is not set."""
        found = {}
        for name, text in rows:
            if text is None:
                continue
            try:
                found[name] = rate_of(text)
            except ValueError as error:
                # A row that somebody has written by hand.
                logger.warning("Task %s: the rate that is set for it is left out: %s", name, error)
        self._set = found

    def __contains__(self, name: object) -> bool:
        return name in self._set

    def of(self, name: str) -> Rate | None:
        """How often a task may start; None for as often as it comes."""
        if conf.WORKER_DISABLE_RATE_LIMITS:
            return None
        if name in self._set:
            return self._set[name]
        task = registry.get(name)
        return None if task is None else task.limits.rate

    @property
    def any(self) -> bool:
        """Whether a task of this process has one."""
        return any(self.of(name) is not None for name in self._set) or registry.has_rates
