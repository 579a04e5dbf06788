"""Where tasks run, and what ends a run there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from djtasks.execution.coroutines import run_coroutine
from djtasks.execution.request import HOSTNAME

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


@dataclass(slots=True)
class Place:
    """Where tasks run: the worker's name, how coroutines are run, and limits for all of them.

    Limits are in seconds, ``soft_limits`` those set for tasks by name; ``owner`` is the worker's id
    that fences what it stores; ``database`` is the alias of the queue's database, None for the
    setting's; ``shares_transaction`` says that tasks run inside a transaction of the caller's, as
    in tests.
    """

    hostname: str = HOSTNAME
    coroutine: Callable[[Coroutine[Any, Any, Any]], Any] = run_coroutine
    soft_time_limit: float | None = None
    owner: int = 0
    eager: bool = False
    shares_transaction: bool = False
    database: str | None = None
    soft_limits: dict[str, float] = field(default_factory=dict)


class Heeded(Exception):
    """The task was asked to end as revoked, knew that, and ended."""
