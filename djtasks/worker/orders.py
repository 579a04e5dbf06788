"""What a worker is told to do through its row: the other end of :mod:`djtasks.control.workers`."""

from __future__ import annotations

import json
import logging
import signal
from dataclasses import dataclass, field

logger = logging.getLogger("djtasks.worker")

CHANNEL = "djtasks_orders"
"""Where workers that can listen are told of new orders; the payload is a worker's id."""


EVERYBODY = "*"
"""The payload that every worker takes for its own."""


@dataclass(frozen=True, slots=True)
class Orders:
    """The orders in a worker's row.

    ``quiet`` is None where nothing is said of it; ``terminate`` has the number of a signal for
    the id of each task that is to be ended. ``look`` has it look for work, whatever it knows.
    """

    quiet: bool | None = None
    stop: bool = False
    terminate: dict[bytes, int] = field(default_factory=dict)
    look: bool = False

    @classmethod
    def parse(cls, text: str) -> Orders:
        """Read them; what cannot be read is logged and left out."""
        try:
            told = json.loads(text)
            victims = told.get("terminate") or {}
            return cls(
                quiet=None if told.get("quiet") is None else bool(told["quiet"]),
                stop=bool(told.get("stop")),
                terminate={
                    bytes.fromhex(id.replace("-", "")): int(signal.Signals[name])
                    for id, name in victims.items()
                },
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            logger.error("The orders of this worker cannot be read (%r): %.200s", error, text)
            return cls()

    @property
    def standing(self) -> str:
        """Those that stay in the row once they are obeyed: what the worker is made to be."""
        flags = {"quiet": self.quiet, "stop": self.stop}
        kept = {name: True for name, flag in flags.items() if flag}
        return json.dumps(kept, separators=(",", ":")) if kept else ""
