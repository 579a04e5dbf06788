"""Ids of tasks.

An id is a UUIDv7 made in Python, so that ``delay()`` knows it before anything is written, and so
that neighbours in time are neighbours in an index. Its 12 bits after the milliseconds are a
fraction of the millisecond (as PostgreSQL 18 makes them), and its last 62 bits are random from the
operating system: as hard to guess as the UUIDv4 that Celery uses, in practice.
"""

from __future__ import annotations

import os
import re
import threading
import time
import uuid
from struct import Struct
from typing import Final
from uuid import UUID, SafeUUID

__all__ = ["NAMESPACE", "new_id", "to_uuid"]

#: The namespace in which a caller's own text becomes a key. Changing it loses every custom id.
NAMESPACE: Final = UUID("91d3cc76-dbff-5561-b8e2-c6124d1e349d")

#: The longest custom id, in characters.
MAX_CUSTOM_ID: Final = 255

_VERSION_AND_VARIANT: Final = (7 << 76) | (2 << 62)
_RANDOM_BITS: Final = (1 << 62) - 1
#: Random numbers taken from the operating system in one call, which costs as much as three ids.
_RANDOM_NUMBERS: Final = Struct("64Q")
_UUID_TEXT: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}", re.I
)


_new = object.__new__
_set = object.__setattr__
_unknown = SafeUUID.unknown


class _Generator:
    """The last tick and a stock of random numbers, under one lock."""

    __slots__ = ("last", "lock", "random")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.last = 0
        self.random: list[int] = []

    def next(self) -> UUID:
        now = time.time_ns()
        # 60 bits: milliseconds, then 1/4096 of one.
        tick = (now // 1_000_000 << 12) | ((now % 1_000_000) << 12) // 1_000_000
        with self.lock:
            # The clock may stand still or go back; the ids of one process never do.
            if tick <= self.last:
                tick = self.last + 1
            self.last = tick
            if not self.random:
                self.random += _RANDOM_NUMBERS.unpack(os.urandom(_RANDOM_NUMBERS.size))
            random = self.random.pop() & _RANDOM_BITS
        # UUID() would check the number again, for as much time as all of the above takes.
        result: UUID = _new(UUID)
        _set(result, "int", tick >> 12 << 80 | (tick & 0xFFF) << 64 | _VERSION_AND_VARIANT | random)
        _set(result, "is_safe", _unknown)
        return result


_generator = _Generator()


def _after_fork() -> None:
    # A child must neither repeat its parent's random bytes nor wait for a lock that a thread of
    # its parent held at the fork.
    global _generator
    _generator = _Generator()


os.register_at_fork(after_in_child=_after_fork)


def new_id() -> UUID:
    """Return a new UUIDv7, greater than every one that this process returned before."""
    return _generator.next()


def to_uuid(task_id: str | UUID) -> tuple[UUID, str | None]:
    """Return the key of ``task_id`` and, where that is another text, the text to show.

    A UUID, with or without hyphens, is its own key. Any other text is mapped by ``uuid5``, so that
    ``AsyncResult("order-42")`` finds what ``apply_async(task_id="order-42")`` sent.

    Args:
        task_id: a UUID, or a text of 1 to 255 characters.

    Returns:
        The key, and ``None`` when ``str(key)`` is ``task_id``, else ``task_id`` as it was given.

    Raises:
        TypeError: ``task_id`` is neither text nor a UUID.
        ValueError: the text is empty, too long, or cannot be stored by PostgreSQL.
    """
    if isinstance(task_id, UUID):
        return task_id, None
    if not isinstance(task_id, str):
        raise TypeError(
            f"task_id must be a text or a UUID, not {type(task_id).__qualname__} ({task_id!r})."
        )
    if _UUID_TEXT.fullmatch(task_id):
        key = UUID(task_id)
        return key, None if str(key) == task_id else task_id
    if not task_id:
        raise ValueError("task_id is empty: leave it out to have one made.")
    if len(task_id) > MAX_CUSTOM_ID:
        raise ValueError(
            f"task_id has {len(task_id)} characters, at most {MAX_CUSTOM_ID} are possible: use a "
            "shorter one, such as a hash of it."
        )
    if "\0" in task_id or any("\ud800" <= character <= "\udfff" for character in task_id):
        raise ValueError(
            f"task_id {task_id!r} contains a NUL or a lone surrogate, which PostgreSQL cannot "
            "store: leave them out."
        )
    return uuid.uuid5(NAMESPACE, task_id), task_id
