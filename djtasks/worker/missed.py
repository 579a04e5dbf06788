"""Tasks that were to end in this worker when it had just given them back."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from djtasks.queue.claim import deliveries, taking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import psycopg

    from djtasks.queue.delivery import Delivery

TAKE = taking("revoke")
"""Takes what nobody has claimed, whatever it waits for."""


class Missed:
    """Sees to it that who was told to end does not run because it went back meanwhile.

    What nobody has claimed since is taken and given to ``record``, with the numbers of the
    signals; for what somebody has, its worker is told. What has ended keeps its end.
    """

    def __init__(self, record: Callable[[list[Delivery], Mapping[bytes, int]], None]) -> None:
        self._record = record
        self._numbers: dict[bytes, int] = {}

    def add(self, numbers: Mapping[bytes, int]) -> None:
        """See to these; from any thread."""
        # A new one: it may be looked through at this moment.
        self._numbers = {**self._numbers, **numbers}

    def look(self, connection: psycopg.Connection[Any], owner: int, db: str) -> None:
        """See to them now, for the worker of this id. Raises ``psycopg.Error``."""
        numbers = self._numbers
        if not numbers:
            return
        cursor = connection.cursor(binary=True)
        cursor.execute(TAKE, {"worker": owner, "ids": [*map(_uuid, numbers)]})
        found = deliveries(cursor.fetchall())
        if found:
            self._record(found, numbers)
        taken = {delivery.id for delivery in found}
        self._tell_others({id: n for id, n in numbers.items() if id not in taken}, db)
        self._numbers = {id: n for id, n in self._numbers.items() if id not in numbers}

    @staticmethod
    def _tell_others(numbers: Mapping[bytes, int], db: str) -> None:
        from django.db import connections

        from djtasks.control.workers import terminate

        try:
            for number in set(numbers.values()):
                ids = [_uuid(id) for id, n in numbers.items() if n == number]
                terminate(ids, signal=signal.Signals(number).name.removeprefix("SIG"), using=db)
        finally:
            if numbers:
                # That of this thread, which needs it no more than once in a while.
                connections[db].close()


def _uuid(id: bytes) -> UUID:
    return UUID(bytes=id)
