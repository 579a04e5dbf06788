"""How a worker is told to stop, and how far that has gone."""

from __future__ import annotations

import logging
import os
import signal
import time
from enum import IntEnum
from typing import TYPE_CHECKING

from djtasks import signals

if TYPE_CHECKING:
    from djtasks.worker.options import WorkerOptions

logger = logging.getLogger("djtasks.worker")


class Stopping(IntEnum):
    """The stages of a shutdown; it only goes forward."""

    NO = 0
    WARM = 1
    """Nothing is begun any more; what runs is finished."""
    NOW = 2
    """What runs is ended."""


class Stop:
    """What the signals asked for.

    TERM and the first Ctrl-C: warm. QUIT and the second Ctrl-C: now, after what
    ``soft_shutdown_timeout`` (seconds) still allows. ``REMAP_SIGTERM=SIGQUIT`` in the
    environment gives TERM the meaning of QUIT, as in Celery.
    """

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._interrupts = 0
        self._stage = Stopping.NO
        self._ends_at: float | None = None

    @property
    def stage(self) -> Stopping:
        """How far the shutdown has gone."""
        if self._ends_at is not None and time.monotonic() >= self._ends_at:
            self._stage = Stopping.NOW
        return self._stage

    def remaining(self, now: float) -> float:
        """Seconds until the soft shutdown is over; infinite if none is under way."""
        return float("inf") if self._ends_at is None else max(0.0, self._ends_at - now)

    def on_signal(self, number: int) -> None:
        """Take a signal."""
        remapped = os.environ.get("REMAP_SIGTERM") == "SIGQUIT"
        if number == signal.SIGINT:
            self._interrupts += 1
            now = self._interrupts > 1
        else:
            now = number == signal.SIGQUIT or (number == signal.SIGTERM and remapped)
        how = "Cold" if now else "Warm"
        if now:
            self._now()
        elif self._stage is Stopping.NO:
            self._stage = Stopping.WARM
            logger.warning("Warm shutdown: finishing what runs (Ctrl-C again: stop at once)")
        signals.worker_shutting_down.emit(
            None, sig=signal.Signals(number).name, how=how, exitcode=1 if now else 0
        )

    def _now(self) -> None:
        timeout = self._options.soft_shutdown_timeout
        if self._ends_at is None and timeout > 0:
            logger.warning("Soft shutdown: what runs has %s seconds to finish", timeout)
            self._stage = max(self._stage, Stopping.WARM)
            self._ends_at = time.monotonic() + timeout
        else:
            logger.warning("Cold shutdown: ending what runs")
            self._stage = Stopping.NOW
