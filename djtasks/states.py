"""The states of a task, the sets they form and their order.

Names, sets and precedence are Celery's. ``PENDING`` is also what an unknown id says: a task that
was forgotten cannot be told from one that never was.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ALL_STATES",
    "EXCEPTION_STATES",
    "FAILURE",
    "IGNORED",
    "PENDING",
    "PROPAGATE_STATES",
    "READY_STATES",
    "RECEIVED",
    "REJECTED",
    "RETRY",
    "REVOKED",
    "STARTED",
    "SUCCESS",
    "UNREADY_STATES",
    "precedence",
    "state",
]

#: Waiting to run, or not known here.
PENDING: Final = "PENDING"
#: A worker holds it and has not begun it.
RECEIVED: Final = "RECEIVED"
#: It runs (shown only where ``track_started`` is set).
STARTED: Final = "STARTED"
#: It returned; the result is its return value.
SUCCESS: Final = "SUCCESS"
#: It raised, or its worker was lost; the result is the exception.
FAILURE: Final = "FAILURE"
#: It will run again; the result is the exception that asked for it.
RETRY: Final = "RETRY"
#: It was cancelled or expired; the result is a ``TaskRevokedError``.
REVOKED: Final = "REVOKED"
#: It was refused by its own ``Reject``.
REJECTED: Final = "REJECTED"
#: It raised ``Ignore``: nothing was stored.
IGNORED: Final = "IGNORED"

#: The task has ended.
READY_STATES: Final = frozenset({SUCCESS, FAILURE, REVOKED})
#: The task has not ended.
UNREADY_STATES: Final = frozenset({PENDING, RECEIVED, STARTED, REJECTED, RETRY})
#: The result is an exception.
EXCEPTION_STATES: Final = frozenset({RETRY, FAILURE, REVOKED})
#: ``AsyncResult.get()`` raises the result.
PROPAGATE_STATES: Final = frozenset({FAILURE, REVOKED})
#: Every state that a result can be stored with by the worker itself.
ALL_STATES: Final = frozenset({PENDING, RECEIVED, STARTED, SUCCESS, FAILURE, RETRY, REVOKED})

#: From the strongest to the weakest. ``None`` stands for every custom state.
PRECEDENCE: Final[tuple[str | None, ...]] = (
    SUCCESS,
    FAILURE,
    None,
    REVOKED,
    STARTED,
    RECEIVED,
    REJECTED,
    RETRY,
    PENDING,
)
_RANK: Final = {name: rank for rank, name in enumerate(PRECEDENCE)}
_CUSTOM_RANK: Final = _RANK[None]


def precedence(state: str | None) -> int:
    """Return the rank of ``state``: 0 is the strongest. Custom states share one rank."""
    return _RANK.get(state, _CUSTOM_RANK)


class state(str):
    """A state that compares by precedence instead of by spelling.

    >>> state(PENDING) < state(SUCCESS)
    True
    >>> state("PROGRESS") > state(STARTED)
    True
    >>> state("PROGRESS") > state(SUCCESS)
    False

    Equality and hash stay those of the text.
    """

    __slots__ = ()

    def __gt__(self, other: str) -> bool:
        return precedence(self) < precedence(other)

    def __ge__(self, other: str) -> bool:
        return precedence(self) <= precedence(other)

    def __lt__(self, other: str) -> bool:
        return precedence(self) > precedence(other)

    def __le__(self, other: str) -> bool:
        return precedence(self) >= precedence(other)
