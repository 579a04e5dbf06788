"""Classes of run times: four for each doubling, so that few counts tell many run times.

A percentile that is read from them is wrong by a ninth at most.
"""

from __future__ import annotations

from math import exp2, log2
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

CLASSES_PER_DOUBLING: Final = 4
SHORTEST: Final = 1e-6
"""Seconds below which run times are not told apart."""


def class_of(seconds: float) -> int:
    """The class of a run time."""
    if seconds <= SHORTEST:
        return 0
    return int(CLASSES_PER_DOUBLING * log2(seconds / SHORTEST))


def seconds_of(number: int) -> float:
    """The run time in the middle of a class, in seconds: the geometric mean of its bounds."""
    return SHORTEST * exp2((number + 0.5) / CLASSES_PER_DOUBLING)


def percentile(counts: Mapping[int, int] | Mapping[str, int], q: float) -> float | None:
    """The run time, in seconds, that a part ``q`` (0 to 1) of those counted did not exceed.

    ``counts`` are by class; its keys may be the texts that JSON makes of them. None if nothing was
    counted. Raises :class:`ValueError` for a ``q`` out of range.
    """
    if not 0.0 <= q <= 1.0:
        raise ValueError(f"The percentile must be between 0 and 1, not {q!r}.")
    classes = sorted((int(number), count) for number, count in counts.items() if count > 0)
    rank = q * sum(count for _, count in classes)
    seen = 0
    for number, count in classes:
        seen += count
        if seen >= rank:
            return seconds_of(number)
    return None
