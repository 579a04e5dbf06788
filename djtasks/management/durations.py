"""Times on a command line."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import Final

UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def duration(text: str) -> float:
    """Seconds from ``90``, ``90s``, ``10m``, ``24h``, ``7d`` or ``2w``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw]?)", text.strip())
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no time: write 90s, 10m, 24h, 7d or 2w")
    return float(found[1]) * UNITS[found[2]]
