"""Messages that are held because their task is paused: making them ready again."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Protocol

from djtasks.queue.sql import load

if TYPE_CHECKING:
    from collections.abc import Callable

UNHOLD = load("unhold")
HELD_TASKS = load("held_tasks")

BATCH: Final = 1000
"""Messages that are made ready in one transaction, at most."""


class Cursor(Protocol):
    """What Django's cursors and psycopg's have in common."""

    def execute(self, sql: str, params: Any = ...) -> Any:
        """Run a statement."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rows of its answer."""


def unhold(
    cursor: Cursor, task: str, *, stopping: Callable[[], bool] = lambda: False
) -> Counter[str]:
    """Make all messages of a task ready that are held, unless it is paused; each batch commits.

    Returns how many there were of each queue: idle workers of those are to be told.
    """
    freed: Counter[str] = Counter()
    while not stopping():
        cursor.execute(UNHOLD, {"task": task, "limit": BATCH})
        rows = cursor.fetchall()
        freed.update(dict(rows))
        if sum(number for _, number in rows) < BATCH:
            break
    return freed


def strays(cursor: Cursor) -> list[str]:
    """The tasks of which messages are held although they are not paused.

    A claim that began before its task was resumed may hold some after that.
    """
    cursor.execute(HELD_TASKS)
    return [task for task, is_paused in cursor.fetchall() if not is_paused]
