"""Who is given what: messages in their order, to those that have room for them; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


def share_out(rooms: Sequence[int], take: Callable[[], T | None]) -> list[list[T]]:
    """What each is given that has room for so many, until ``take`` has nothing more.

    One each in turn, so that the first in order are begun first.
    """
    shares: list[list[T]] = [[] for _ in rooms]
    while free := [
        (share, room) for share, room in zip(shares, rooms, strict=True) if len(share) < room
    ]:
        for share, _room in free:
            one = take()
            if one is None:
                return shares
            share.append(one)
    return shares
