"""What limits how many tasks run at once or how fast they start: lanes and rates.

A *lane* is a line of messages of which only so many may run at a time: those of one key of
``concurrency_limit``, or of one ``order_key``, which go one by one. A *rate* says how often a task
may start. Which lane a message is in is said by its call; how many places a lane has, and how fast
a rate is, by the worker that claims it.

``fair_key`` limits nothing: tasks of a queue whose keys differ take turns.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from djtasks.conf import conf
from djtasks.keys import Key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from djtasks.task import Task

OPTIONS = (
    "rate_limit",
    "rate_limit_scope",
    "concurrency_limit",
    "concurrency_key",
    "order_key",
    "fair_key",
)
"""Options of a task that say what limits it, and with whom it takes turns."""

ORDER = "order:"
"""How the lanes begin in which the next one waits for the end of the one before."""

LIMIT = "limit:"
"""How the lanes begin in which several may run."""

RATE = "rate:"
"""How the gates begin that keep rates."""

BURST = 0.1
"""Seconds' worth of a fast rate that may start at one moment."""

Scope = Literal["global", "worker"]

_PERIODS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Rate:
    """How often messages may start: one every ``interval`` seconds, ``burst`` at one moment."""

    interval: float
    burst: float


@lru_cache(maxsize=1000)
def rate_of(value: str | float) -> Rate | None:
    """A rate as Celery writes it: ``"100/m"``, ``"10/s"``, ``"5/h"``, or a number a second.

    None for 0, which means no limit. Raises :class:`ValueError` for what is none.
    """
    text = str(value).strip()
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:/([smh]))?", text)
    if isinstance(value, bool) or found is None:
        raise ValueError(
            f'{value!r} is no rate: write "100/m", "10/s", "5/h", or a number of tasks a second.'
        )
    number = float(found[1]) / _PERIODS[found[2] or "s"]
    if not number:
        return None
    return Rate(1 / number, max(1.0, number * BURST))


class Limits:
    """What limits one task."""

    __slots__ = ("_fair", "_key", "_own_rate", "_prefix", "scope", "size")

    def __init__(self, task: Task[..., Any]) -> None:
        """Read the options of a task. Raises :class:`TypeError` for what cannot go together."""
        name = task.name
        self.scope: Scope = task.rate_limit_scope
        try:
            # Else it follows a setting, which may not be readable yet.
            own = inspect.getattr_static(task, "rate_limit")
            self._own_rate = own if isinstance(own, (str, int, float)) else None
            if self._own_rate is not None:
                rate_of(self._own_rate)
        except ValueError as error:
            raise TypeError(f"Task {name}: the option rate_limit: {error}") from None
        self.size = task.concurrency_limit
        self._key: Key | None = None
        self._prefix = ""
        self._fair = None if task.fair_key is None else Key(task, "fair_key", task.fair_key)
        if task.concurrency_key is not None and self.size is None:
            raise TypeError(
                f"Task {name}: concurrency_key says what concurrency_limit is counted by; give "
                f"concurrency_limit too."
            )
        if task.order_key is not None:
            if self.size is not None:
                raise TypeError(
                    f"Task {name}: order_key runs one task of a key at a time already; remove "
                    f"concurrency_limit, or limit how many run in all by a queue of their own."
                )
            self._key = Key(task, "order_key", task.order_key)
            self._prefix = ORDER
            self.size = 1
        elif self.size is not None:
            self._key = Key(task, "concurrency_key", task.concurrency_key or _literal(name))
            self._prefix = LIMIT

    def __bool__(self) -> bool:
        return self.holds_back or self.takes_turns

    @property
    def holds_back(self) -> bool:
        """Whether a claimed message may have to wait."""
        return self._key is not None or self.rate is not None

    @property
    def takes_turns(self) -> bool:
        """Whether messages stand in lines, one for each key."""
        return self._fair is not None

    @property
    def rate(self) -> Rate | None:
        """How often it may start; None for as often as it comes, or where workers keep no rates."""
        value = self._own_rate
        if value is None:
            value = conf.TASK_DEFAULT_RATE_LIMIT
        if value is None or conf.WORKER_DISABLE_RATE_LIMITS:
            return None
        return rate_of(value)

    @property
    def keeps_order(self) -> bool:
        """Whether the tasks of one key run in the order of their calls."""
        return self._prefix == ORDER

    def lane(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
        """The lane of a call; what is wrong with its key is raised."""
        return None if self._key is None else self._prefix + self._key.of(args, kwargs)

    def fair(self, args: Sequence[Any], kwargs: Mapping[str, Any], *, complete: bool) -> str | None:
        """The line of a call; what is wrong with its key is raised.

        Unless its arguments are ``complete`` it is in none if the first of them might decide.
        """
        if self._fair is None:
            return None
        return self._fair.of(args, kwargs) if complete else self._fair.ahead(args, kwargs)


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
