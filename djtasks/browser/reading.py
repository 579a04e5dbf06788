"""How the task browser reads: with plans by index whatever the statistics say, and no locks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

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

FEW = f"{PLANNER}, set_config('enable_bitmapscan', 'off', true)"
NO_BITMAPS = "SET LOCAL enable_bitmapscan = off"
BITMAPS = "SET LOCAL enable_bitmapscan TO DEFAULT"

_open: Final[ContextVar[Mapping[str, bool]]] = ContextVar("djtasks_reading")
"""The databases that a block reads now, and whether few rows of each."""


@contextmanager
def reading(using: str | None = None, *, few: bool = False) -> Iterator[CursorWrapper]:
    """A cursor for reading. What it sets for the planner is undone at the end of the block.

    With ``few`` indexes are only read row by row: of a bitmap all is read, however few rows a LIMIT
    lets through. (Conditions joined by OR on different indexes need bitmaps.)

    A block inside of another is a part of it, in the same transaction, which spares it most of what
    that costs: a page that reads many things puts one block around them.
    """
    alias = using or conf.DATABASE
    around = _open.get({})
    with ExitStack() as stack:
        if alias not in around:
            stack.enter_context(transaction.atomic(alias))
        cursor = stack.enter_context(connections[alias].cursor())
        if alias not in around:
            cursor.execute(FEW if few else PLANNER)
        elif few != around[alias]:
            cursor.execute(NO_BITMAPS if few else BITMAPS)
        token = _open.set({**around, alias: few})
        try:
            yield cursor
        finally:
            _open.reset(token)
        if alias not in around:
            # Nothing was written: this takes the settings back, in a transaction of the caller's
            # too.
            transaction.set_rollback(True, using=alias)
        elif few != around[alias]:
            cursor.execute(BITMAPS if few else NO_BITMAPS)


def fetch(
    statement: str, parameters: dict[str, Any], *, using: str | None = None, few: bool = False
) -> list[tuple[Any, ...]]:
    """The rows of one statement; ``few`` is as of :func:`reading`."""
    with reading(using, few=few) as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
