"""How the task browser reads: with plans by index whatever the statistics say, and no locks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

from djtasks.conf import conf

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

__all__ = ["fetch", "reading"]

# Statistics may say that a table is empty when it is not any more. Compiling a statement for
# this machine takes longer than any of ours.
PLANNER = """\
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_mergejoin', 'off', true),
       set_config('jit', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)"""


NO_BITMAPS = "SELECT set_config('enable_bitmapscan', 'off', true)"


@contextmanager
def reading(using: str | None = None, *, few: bool = False) -> Iterator[CursorWrapper]:
    """A cursor for reading. What it sets for the planner is undone at the end of the block.

    With ``few`` indexes are only read row by row: of a bitmap all is read, however few rows a LIMIT
    lets through. (Conditions joined by OR on different indexes need bitmaps.)
    """
    alias = using or conf.DATABASE
    with transaction.atomic(alias):
        with connections[alias].cursor() as cursor:
            cursor.execute(PLANNER)
            if few:
                cursor.execute(NO_BITMAPS)
            yield cursor
        # Nothing was written: this takes the settings back, in a transaction of the caller's too.
        transaction.set_rollback(True, using=alias)


def fetch(
    statement: str, parameters: dict[str, Any], *, using: str | None = None, few: bool = False
) -> list[tuple[Any, ...]]:
    """The rows of one statement; ``few`` is as of :func:`reading`."""
    with reading(using, few=few) as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
