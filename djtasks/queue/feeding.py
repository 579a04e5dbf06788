"""What an end means to those who wait for it: the results and failures that are fed to joins."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from djtasks import states
from djtasks.codec import encode_exception, storable
from djtasks.exceptions import TaskRevokedError
from djtasks.queue.arrays import texts
from djtasks.queue.outcome import Disposal
from djtasks.queue.sql import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from djtasks.queue.finish import Entry
    from djtasks.queue.outcome import Outcome

LOCK_JOINS = load("lock_joins")
FAIL = load("fail")

FAILED = '"state":'
"""What begins the members of an end without a result."""

SUCCEEDED = ""
"""What is fed by an end whose result is stored: that result."""

_dumps = json.JSONEncoder(separators=(",", ":")).encode


def fed_members(outcome: Outcome) -> str | None:
    """What an outcome feeds, as the members of a JSON object; None if it is no end.

    The result of a success, unless it is stored anyway; of anything else, how it ended.
    """
    if outcome.disposal not in (Disposal.END, Disposal.ENDED):
        return None
    if outcome.state == states.SUCCESS:
        plain = outcome.stored and outcome.children is None and outcome.runtime is not None
        return SUCCEEDED if plain else f'"value":{outcome.result}'
    error = outcome.error
    state = outcome.state
    if error is None or state not in states.READY_STATES:
        # Ignored, or rejected by hand: what waits can never have its result.
        state = states.REVOKED
        error = TaskRevokedError(f"what it waits for was {outcome.state.lower()}")
    return failure(state, error, outcome.traceback)


def failure(state: str, error: BaseException, traceback: str | None) -> str:
    """How a task ended without a result, for those who wait for it."""
    try:
        shown = storable(repr(error))
    except Exception as trouble:
        shown = f"<{type(error).__qualname__} whose repr() raised {type(trouble).__qualname__}>"
    return (
        f'"state":{_dumps(state)},"result":{encode_exception(error)},'
        f'"exception":{_dumps(type(error).__qualname__)},"traceback":{_dumps(traceback)},'
        f'"repr":{_dumps(shown)}'
    )


class Feeds:
    """What the ends of a batch mean to their joins, as parameters of statements."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._causes: list[str] = []
        self._joins: list[str] = []
        self._positions: list[str] = []
        self._results: list[str] = []
        self._failing: list[str] = []
        self._failed: list[str] = []
        self._counted: set[str] = set()
        for entry in entries:
            if entry.feeds is not None and entry.fed is not None:
                self._add(entry, entry.feeds.hex(), entry.fed)

    def _add(self, entry: Entry, join: str, fed: str) -> None:
        if entry.disposal == Disposal.ENDED:
            return
        position = "null"
        if entry.position is not None:
            position = str(entry.position)
            self._counted.add(join)
        if fed.startswith(FAILED):
            self._failing.append(join)
            self._failed.append(
                f'{{"cause":"{entry.key}","owner":{entry.owner},"feeds":"{join}",'
                f'"position":{position},"name":{_dumps(entry.name)},{fed}}}'
            )
            return
        self._causes.append(entry.key)
        self._joins.append(join)
        self._positions.append(position)
        # The last member of both, and the first of its name.
        self._results.append(fed[8:] or entry.members.partition('"result":')[2])

    @property
    def results(self) -> dict[str, Any]:
        """The parameters of ``feed.sql``, without ``expected``; empty if none is waited for."""
        if not self._causes:
            return {}
        return {
            "causes": f"{{{','.join(self._causes)}}}",
            "joins": f"{{{','.join(self._joins)}}}",
            "positions": f"{{{','.join(self._positions)}}}",
            "results": texts(self._results),
        }

    def failing(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The statements that fail what waits, to be run before those that end the messages.

        The second returns the queues that it filled, and the ids of what ended because of it.
        """
        if self._failed:
            failing, counted = ",".join(self._failing), ",".join(self._counted)
            yield LOCK_JOINS, {"failing": f"{{{failing}}}", "counted": f"{{{counted}}}"}
            yield FAIL, {"failed": f"[{','.join(self._failed)}]"}
