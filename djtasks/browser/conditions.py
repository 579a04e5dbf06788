"""What a filter asks of rows: the parameters of the statements, and where to look."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from djtasks.beat.send import NAME_HEADER
from djtasks.browser.filter import Filter
from djtasks.browser.places import Ids, beginning, microseconds
from djtasks.browser.terms import needles, pattern
from djtasks.ids import to_uuid
from djtasks.models import MessageState

__all__ = ["BAD_STATES", "FAILURE", "Conditions"]

FAILURE: Final = "FAILURE"

BAD_STATES: Final = frozenset({FAILURE, "REVOKED", "REJECTED"})
"""Those whose results are in indexes of their own."""

KINDS: Final = {
    MessageState.READY: ("READY", "RUNNING"),
    MessageState.SCHEDULED: ("SCHEDULED", "RETRY"),
    MessageState.WAITING: ("WAITING",),
    # Ready but for a pause, like what is in a queue that is paused.
    MessageState.HELD: ("READY",),
    MessageState.BLOCKED: ("BLOCKED",),
    MessageState.IN_LINE: ("READY",),
}
"""The states that a list shows, by the column that an index has."""

OF_MESSAGES: Final = frozenset(state for states in KINDS.values() for state in states)


@dataclass(frozen=True, slots=True)
class Conditions:
    """A filter as of now: ``since`` and ``until`` are times."""

    filter: Filter
    since: datetime | None
    until: datetime | None

    @classmethod
    def of(cls, filter: Filter, now: datetime) -> Conditions:
        """The conditions of a filter."""
        return cls(filter, *filter.bounds(now))

    @property
    def root(self) -> UUID | None:
        """The workflow that is looked at alone."""
        return self.filter.root

    @property
    def id_ranges(self) -> list[tuple[UUID, UUID]]:
        """Where ids are that were asked for: those that begin so, and the one of a caller's own.

        A caller's own id may look like the beginning of another, as that of an order does.
        """
        wanted = self.filter
        if wanted.id is None:
            return []
        found = []
        digits = wanted.id.lower().replace("-", "")
        if 4 <= len(digits) <= 32 and not digits.strip("0123456789abcdef"):
            found.append((UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))))
        own = _key_of_caller(wanted.id)
        if own is not None and own not in (low for low, _ in found):
            found.append((own, own))
        return found

    @property
    def lone_id(self) -> UUID | None:
        """The key of the one word that is looked for, which may be a caller's own id."""
        wanted = self.filter
        if len(wanted.text) != 1 or wanted != Filter(text=wanted.text):
            return None
        return _key_of_caller(wanted.text[0])

    @property
    def all_states(self) -> list[str] | None:
        """The states as rows have them; None for all."""
        if not self.filter.states:
            return None
        more = ["RETRY"] if "SCHEDULED" in self.filter.states else []
        return [*self.filter.states, *more]

    @property
    def message_states(self) -> list[str] | None:
        """Those that only messages have."""
        states = self.all_states
        return None if states is None else [state for state in states if state in OF_MESSAGES]

    @property
    def result_states(self) -> tuple[str, ...] | None:
        """Those that only results have."""
        states = self.all_states
        if states is None:
            return None
        return tuple(state for state in states if state not in OF_MESSAGES)

    @property
    def wants_messages(self) -> bool:
        """Whether a message can match."""
        return self.message_states != []

    @property
    def wants_results(self) -> bool:
        """Whether a result can match."""
        return self.result_states != () and self.filter.lane is None

    @property
    def is_wide(self) -> bool:
        """Whether every message matches but for its time."""
        return self.filter == Filter(since=self.filter.since, until=self.filter.until)

    @property
    def kinds(self) -> dict[MessageState, Sequence[str]]:
        """The states that are wanted of each kind of message."""
        states = self.message_states
        found = {
            kind: [name for name in names if states is None or name in states]
            for kind, names in KINDS.items()
        }
        if self.filter.worker is not None:
            found = {
                MessageState.READY: ["RUNNING"] if "RUNNING" in found[MessageState.READY] else []
            }
        return {kind: names for kind, names in found.items() if names}

    @property
    def names_failures(self) -> bool:
        """Whether some tasks or exceptions are named, so that failures are found by these."""
        return bool(self.filter.task or self.filter.text) or self.filter.exception is not None

    def ids_between(self, ids: Ids) -> tuple[UUID, UUID]:
        """The ids that tell a time within the bounds, give or take what clocks differ by."""
        low, high = ids.low, ids.high
        if self.since is not None:
            low = max(low, beginning(microseconds(self.since) // 1000 - 3_600_000))
        if self.until is not None:
            high = min(high, beginning(microseconds(self.until) // 1000 + 3_600_000))
        return low, high

    def may_be_of(self, task: str, exception: str | None) -> bool:
        """Whether a failure of this group can match."""
        wanted = self.filter
        return (
            _is_named(task, wanted.task)
            and _is_named(exception or "", wanted.exception)
            and all(part.lower() in task.lower() for part in wanted.text)
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """What the statements are given."""
        wanted = self.filter
        return {
            "queue": wanted.queue,
            "task": _name(wanted.task),
            "task_end": _end(wanted.task),
            "exception": _name(wanted.exception),
            "exception_end": _end(wanted.exception),
            "error": None if wanted.error is None else wanted.error.lower(),
            "schedule": wanted.schedule and _header(wanted.schedule),
            "lane": wanted.lane,
            "worker": None if wanted.worker is None else wanted.worker.lower(),
            "retried": wanted.retried,
            "texts": [f"%{_escaped(part.lower())}%" for part in wanted.text] or None,
            "needles": [f"%{_escaped(part)}%" for term in wanted.terms for part in needles(term)],
            "patterns": [pattern(term) for term in wanted.terms] or None,
            "since": self.since,
            "until": self.until,
        }


def _header(schedule: str) -> str:
    """What the options of every message of a schedule have in them."""
    return json.dumps({NAME_HEADER: schedule}, separators=(",", ":"))[1:-1]


def _key_of_caller(text: str) -> UUID | None:
    """The key of a caller's own id; None for what can be no id."""
    try:
        key, _ = to_uuid(text)
    except ValueError:
        return None
    return key


def _is_named(name: str, wanted: str | None) -> bool:
    if wanted is None or name == _name(wanted):
        return True
    return bool(wanted) and not wanted.startswith("=") and name.endswith(f".{wanted}")


def _name(wanted: str | None) -> str | None:
    return wanted and wanted.removeprefix("=")


def _end(wanted: str | None) -> str | None:
    """What LIKE finds a name by that ends so, unless it is meant exactly."""
    return f"%.{_escaped(wanted)}" if wanted and not wanted.startswith("=") else None


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
