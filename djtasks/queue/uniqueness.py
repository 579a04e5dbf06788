"""What makes a message unique: its key, and for how long it has that."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal, NamedTuple
from uuid import UUID

OnConflict = Literal["existing", "raise", "replace"]

OPTION = "unique"
"""The name of what a message's options tell of its key."""


class UniqueMode(IntEnum):
    """How long a task has its key, apart from a period: those of the model of the same name."""

    NONE = 0
    QUEUED = 1
    DONE = 2


_WORDS = {UniqueMode.QUEUED: "queued", UniqueMode.DONE: "done"}
MODES = {word: mode for mode, word in _WORDS.items()}


class Holder(NamedTuple):
    """The task that has a key."""

    id: UUID
    custom_id: str | None


@dataclass(slots=True)
class Unique:
    """The key that a message is to take, and what happens if another has it.

    ``seconds`` is the period from the enqueueing for which it has the key in any case. ``is_late``
    says that nobody can be told of a conflict any more: the call has returned its handle. In the
    end ``holder`` is the task that had the key, if there was one.
    """

    key: str
    mode: UniqueMode
    seconds: float | None = None
    on_conflict: OnConflict = "existing"
    is_late: bool = False
    holder: Holder | None = None

    def as_option(self) -> dict[str, Any]:
        """What the message carries: for people to see, and for a retry by hand."""
        told: dict[str, Any] = {"key": self.key}
        if self.mode in _WORDS:
            told["until"] = _WORDS[self.mode]
        if self.seconds is not None:
            told["for"] = self.seconds
        return told

    @classmethod
    def of_option(cls, told: Any) -> Unique | None:
        """What :meth:`as_option` told; None for anything else, for people can write rows."""
        if not isinstance(told, dict) or not isinstance(told.get("key"), str):
            return None
        seconds = told.get("for")
        if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
            seconds = None
        return cls(told["key"], MODES.get(str(told.get("until")), UniqueMode.NONE), seconds)


def item(
    id: UUID, unique: Unique, place: int = 0, *, replaces: bool = False, own: UUID | None = None
) -> dict[str, Any]:
    """One element of what ``take_unique.sql`` reads.

    ``own`` is the ended task that is put back by the one that takes the key, and no rival of it.
    """
    return {
        "place": place,
        "id": str(id),
        "key": unique.key,
        "mode": int(unique.mode),
        "seconds": unique.seconds,
        "replace": replaces,
        "own": None if own is None else str(own),
    }


def packed(items: Iterable[dict[str, Any]]) -> str:
    """The parameter of ``take_unique.sql``."""
    return json.dumps(list(items), separators=(",", ":"))
