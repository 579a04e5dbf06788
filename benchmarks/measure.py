"""What a measurement is: rounds, figures with their medians and spread, targets."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


class BenchmarkError(Exception):
    """A measurement did not do what it was to measure; the message says what happened."""


@dataclass(frozen=True)
class Figure:
    """A number that was measured once a round."""

    name: str
    unit: str
    rounds: Sequence[float]

    @property
    def median(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.rounds)

    def as_json(self) -> dict[str, Any]:
        """Everything about the figure, for the file."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "lowest": min(self.rounds),
            "highest": max(self.rounds),
            "rounds": list(self.rounds),
        }


@dataclass(frozen=True)
class Target:
    """What a figure must show: at least or at most a limit."""

    name: str
    value: float
    limit: float
    at_most: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the value is on the right side of the limit."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def as_json(self) -> dict[str, Any]:
        """Everything about the target, for the file."""
        return {
            "name": self.name,
            "value": self.value,
            "limit": self.limit,
            "at": "most" if self.at_most else "least",
            "met": self.is_met,
        }


@dataclass
class Report:
    """What one measure found."""

    figures: list[Figure] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)

    def figure(self, name: str, unit: str, rounds: Iterable[float]) -> Figure:
        """Add a figure and return it."""
        figure = Figure(name, unit, list(rounds))
        self.figures.append(figure)
        return figure

    def ratio(self, ours: Figure, bare: Figure, name: str = "ratio to bare") -> Figure:
        """Add the ratio of two figures, taken round by round."""
        return self.figure(
            name, "x", [a / b for a, b in zip(ours.rounds, bare.rounds, strict=True)]
        )

    def at_least(self, figure: Figure, limit: float) -> None:
        """Add the target that a figure's median reaches a limit."""
        self.targets.append(Target(figure.name, figure.median, limit))

    def at_most(self, figure: Figure, limit: float) -> None:
        """Add the target that a figure's median stays within a limit."""
        self.targets.append(Target(figure.name, figure.median, limit, at_most=True))


@dataclass(frozen=True)
class Plan:
    """How much is measured: ``rounds``, and ``scale`` as a factor on every count."""

    rounds: int
    scale: float = 1.0

    def count(self, full: int, least: int = 20) -> int:
        """A count in this run, where a full one has ``full``."""
        return max(min(least, full), round(full * self.scale))

    def seconds(self, full: float) -> float:
        """A duration in this run, where a full one has ``full``."""
        return max(0.5, full * min(1.0, self.scale))


@dataclass(frozen=True)
class Measure:
    """One measure: its letter, what it is, and how it is taken."""

    key: str
    title: str
    take: Callable[[Plan], Report]


def alternate(rounds: int, *runs: Callable[[], float]) -> list[list[float]]:
    """Take every run once in each round, so that a noisy minute hits all of them.

    The order turns from round to round. Returns the values of each run.
    """
    values: list[list[float]] = [[] for _ in runs]
    for turn in range(rounds):
        for step in range(len(runs)):
            index = (turn + step) % len(runs)
            values[index].append(runs[index]())
    return values


def rate(count: int, work: Callable[[], object]) -> float:
    """How many a second, when ``work`` does ``count`` of something."""
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many per cent of the values do not exceed (the nearest one)."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, round(len(ordered) * percent / 100) - 1))]


def load() -> float:
    """The machine's load average over the last minute."""
    return os.getloadavg()[0]
