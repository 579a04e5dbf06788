"""Where tasks are looked for: each source gives what matches, and says how far it has looked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from djtasks.browser.conditions import BAD_STATES, FAILURE, Conditions
from djtasks.browser.places import Ids, Place, moment
from djtasks.browser.record import loaded
from djtasks.browser.sql import load
from djtasks.ids import to_uuid

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

__all__ = ["FEW", "SCAN", "Found", "Search"]

SCAN: Final = 10_000
"""Rows of each table that one page looks at, at most, where no index knows what matches."""

FEW: Final = 1_000
"""Messages of a kind that are read whole, so that the few are found among many others."""

OF_A_ROOT: Final = 50_000
"""Tasks of one workflow in each table that are looked at."""

FIRST: Final = 1 << 53
"""Microseconds since 1970: a place before those of all tasks, in the year 2255."""

HEAD: Final = 500
"""Messages at the head of each queue that are looked at for those that run."""

ALL_GROUPS: Final = 1_000
"""Tasks that failed, and groups of task and exception, that are looked at for those that match."""

GROUPS: Final = 50
"""Groups of failures that are merged; if more match, failures are read by their end."""

OLDER = {"order": "DESC", "before": "<"}
NEWER = {"order": "ASC", "before": ">"}


def _both(name: str, matches: str) -> dict[bool, str]:
    """A statement in both directions, by whether it goes back to what is newer."""
    text, condition = load(name), load(matches)
    return {
        False: text.format(matches=condition, **OLDER),
        True: text.format(matches=condition, **NEWER),
    }


RESULTS = _both("scan_results", "result_matches")
BAD = _both("scan_bad", "result_matches")
RESULTS_BY_ID = _both("scan_results_by_id", "result_matches")
FAILED = _both("scan_failed", "result_matches")
MESSAGES = _both("scan_messages", "message_matches")
OF_LANE = load("of_lane").format(matches=load("message_matches"))
FEW_MESSAGES = load("few_messages").format(matches=load("message_matches"))
FOREIGN = _both("foreign_messages", "message_matches")
STRAYS = load("stray_messages").format(matches=load("message_matches"))
RUNNING = load("running_messages").format(matches=load("message_matches"))
OF_ROOT = load("of_root").format(
    message_matches=load("message_matches"), result_matches=load("result_matches")
)
SAID_RUNNING = load("said_running")
GROUPS_OF_FAILED = load("failed_groups")


@dataclass(slots=True)
class Found:
    """What a source found; ``end`` is the place that it has looked to, None if it has seen all.

    ``cut`` says that there is more than it can ever tell, and ``searched`` how many rows it saw.
    """

    places: list[Place] = field(default_factory=list)
    end: Place | None = None
    cut: bool = False
    searched: int = 0


@dataclass(slots=True)
class Search:
    """One look for tasks: what is wanted, from where on, in which direction, how many."""

    cursor: CursorWrapper
    conditions: Conditions
    ids: Ids
    start: Place | None
    back: bool
    limit: int

    def run(self) -> Iterator[Found]:
        """Ask all sources that can have what is wanted.

        Messages come first: what ends meanwhile is found twice rather than not at all.
        """
        wanted = self.conditions
        if wanted.root is not None:
            yield from self._of_root(wanted.root)
            return
        for low, high in wanted.id_ranges:
            yield from self._by_id(low, high)
        if wanted.filter.id is None:
            if wanted.lone_id is not None and self.start is None:
                yield self._named(wanted.lone_id)
            if wanted.wants_messages:
                yield from self._messages()
            if wanted.wants_results:
                yield from self._ended()

    # --- messages ---------------------------------------------------------------------------

    def _messages(self) -> Iterator[Found]:
        """Messages: the few of a kind from its own index, the many by their ids."""
        wanted = self.conditions
        if wanted.is_wide:
            yield from self._all_messages(wanted.message_states)
            return
        if wanted.filter.lane is not None:
            yield self._of_lane()
            # Those that have not been asked for a place yet are known by no index.
            yield from self._all_messages(wanted.message_states)
            return
        dense: list[str] = []
        for kind, states in wanted.kinds.items():
            rows = self._ask(FEW_MESSAGES, {"state": kind, "few": FEW + 1, "states": list(states)})
            if len(rows) <= FEW:
                yield self._among(rows)
                continue
            if list(states) == ["RUNNING"]:
                parameters = {"ids": self._said_running(), "head": HEAD, "scan": SCAN}
                yield self._among(self._ask(RUNNING, {**parameters, "states": states}))
                continue
            dense += states
        if dense:
            yield from self._all_messages(dense)

    def _of_lane(self) -> Found:
        """Messages of a lane that are blocked or have a place in it."""
        states = self.conditions.message_states
        rows = self._ask(OF_LANE, {"scan": OF_A_ROOT, "states": None if states is None else states})
        found = self._among(rows)
        found.cut = len(rows) >= OF_A_ROOT
        return found

    def _said_running(self) -> list[UUID]:
        """The ids of what workers say that they have been running for a while."""
        found = []
        for (text,) in self._ask(SAID_RUNNING, {}):
            told = loaded(text)
            for entry in told if isinstance(told, list) else ():
                named = str(entry.get("id")) if isinstance(entry, dict) else ""
                if len(named) in (32, 36) and not named.strip("0123456789abcdef-"):
                    found.append(to_uuid(named)[0])
        return found

    def _all_messages(self, states: Sequence[str] | None) -> Iterator[Found]:
        """Messages by their ids, which tell the time; by their times where ids do not tell it."""
        wanted = {"scan": SCAN, "states": None if states is None else list(states)}
        low, high = self.conditions.ids_between(self.ids)
        bound = None if self.start is None else self.ids.bound(self.start, back=self.back)
        rows = self._ask(MESSAGES[self.back], {"low": low, "high": high, "id": bound, **wanted})
        yield self._scanned(rows, SCAN, self._of_message)
        rows = self._ask(FOREIGN[self.back], {**self._from_here, **wanted})
        yield self._scanned(rows, SCAN, Place)
        rows = self._ask(STRAYS, {"low": self.ids.low, "high": self.ids.high, **wanted})
        found = self._among(rows)
        found.cut = len(rows) >= SCAN
        yield found

    # --- results ----------------------------------------------------------------------------

    def _ended(self) -> Iterator[Found]:
        """Results: by their end, but those of bad states from indexes of their own."""
        states = self.conditions.result_states
        if states is None:
            yield self._results(None)
            return
        bad = [state for state in states if state in BAD_STATES]
        others = [state for state in states if state not in BAD_STATES]
        if others:
            yield self._results(others)
        for state in bad:
            groups = self._groups() if state == FAILURE and self.conditions.names_failures else None
            if groups is None:
                parameters = {**self._from_here, "scan": SCAN, "state": state, "states": None}
                rows = self._ask(BAD[self.back], parameters)
                yield self._scanned(rows, SCAN, Place)
            elif groups:
                yield from self._failed(groups)

    def _results(self, states: list[str] | None) -> Found:
        parameters = {**self._from_here, "scan": SCAN, "states": states}
        return self._scanned(self._ask(RESULTS[self.back], parameters), SCAN, Place)

    def _groups(self) -> list[tuple[str, str | None]] | None:
        """The tasks and exceptions of failures that can match; None if there are too many."""
        groups = self._ask(GROUPS_OF_FAILED, {"most": ALL_GROUPS + 1})
        if len(groups) > ALL_GROUPS or any(task is None for task, _ in groups):
            return None
        found = [group for group in groups if self.conditions.may_be_of(*group)]
        return found if len(found) <= GROUPS else None

    def _failed(self, groups: list[tuple[str, str | None]]) -> Iterator[Found]:
        """Failures of some groups: of each the latest, so that they are found among any others."""
        scan = max(SCAN // len(groups), self.limit)
        full = [(task, exception) for task, exception in groups if exception is not None]
        rows = self._ask(
            FAILED[self.back],
            {
                **self._from_here,
                "tasks": [task for task, _ in full],
                "exceptions": [exception for _, exception in full],
                "bare": [task for task, exception in groups if exception is None],
                "scan": scan,
                "states": None,
            },
        )
        of_group: dict[int, list[Any]] = defaultdict(list)
        for *row, group in rows:
            of_group[group].append(row)
        for some in of_group.values():
            yield self._scanned(some, scan, Place)

    # --- both -------------------------------------------------------------------------------

    def _of_root(self, root: UUID) -> Iterator[Found]:
        parameters = {"root": root, "scan": OF_A_ROOT, "states": self.conditions.all_states}
        rows = self._ask(OF_ROOT, parameters)
        queued = [row for row in rows if row[2]]
        ended = [row for row in rows if not row[2]]
        for some, place in ((queued, self._of_message), (ended, Place)):
            found = self._among(some, place)
            found.cut = len(some) >= OF_A_ROOT
            found.searched = len(some)
            yield found

    def _by_id(self, low: UUID, high: UUID) -> Iterator[Found]:
        parameters = {
            "low": low,
            "high": high,
            "id": None if self.start is None else self.start.id,
            "scan": SCAN,
        }
        for wanted, statement, states in (
            (self.conditions.wants_messages, MESSAGES, self.conditions.message_states),
            (self.conditions.wants_results, RESULTS_BY_ID, self.conditions.result_states),
        ):
            if wanted:
                asked = {**parameters, "states": None if states is None else list(states)}
                rows = self._ask(statement[self.back], asked)
                yield self._scanned(rows, SCAN, lambda at, id: Place(0, id))

    def _named(self, key: UUID) -> Found:
        """The task whose id is what else would be a part of names: the first of the list."""
        parameters = {"low": key, "high": key, "id": None, "scan": 1, "states": None, "texts": None}
        rows = self._ask(MESSAGES[False], parameters) or self._ask(RESULTS_BY_ID[False], parameters)
        return Found([Place(FIRST, id) for _, id, _, matches in rows if matches])

    # --- how --------------------------------------------------------------------------------

    @property
    def _from_here(self) -> dict[str, Any]:
        at: datetime | None = None if self.start is None else moment(self.start.at)
        return {"at": at, "id": None if self.start is None else self.start.id}

    def _ask(self, statement: str, parameters: dict[str, Any]) -> list[Any]:
        self.cursor.execute(
            statement, {"limit": self.limit, **self.conditions.parameters, **parameters}
        )
        return list(self.cursor.fetchall())

    def _scanned(
        self, rows: Sequence[Any], scan: int, place: Callable[[int, UUID], Place]
    ) -> Found:
        """What a statement found that ends at its limit of matches or of rows."""
        found = Found([place(at, id) for at, id, _, matches in rows if matches])
        if rows:
            at, id, found.searched, _ = rows[-1]
            if found.searched >= scan or len(rows) >= self.limit:
                found.end = place(at, id)
        return found

    def _among(
        self, rows: Iterable[Any], place: Callable[[int, UUID], Place] | None = None
    ) -> Found:
        """What belongs to this page among all that there is."""
        place = place or self._of_message
        places = sorted((place(at, id) for at, id, _, matches in rows if matches), reverse=True)
        start = self.start
        if self.back:
            places.reverse()
        if start is not None:
            places = [one for one in places if (one > start if self.back else one < start)]
        more = len(places) > self.limit
        places = places[: self.limit]
        return Found(places, places[-1] if more else None)

    def _of_message(self, enqueued: int, id: UUID) -> Place:
        return self.ids.place(id, enqueued)
