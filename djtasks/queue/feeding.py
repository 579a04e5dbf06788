"""What an end means to those who wait for it: the results and failures that are fed to joins."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from djtasks import states
from djtasks.codec import encode_exception, storable
from djtasks.exceptions import TaskRevokedError
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

    The result of a success, unless it is stored and thus told already; of anything else, how it
    ended.
    """
    if outcome.disposal not in (Disposal.END, Disposal.ENDED):
        return None
    if outcome.state == states.SUCCESS:
        return SUCCEEDED if outcome.stored else f'"fed":true,"value":{outcome.result}'
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


def failing(entries: Iterable[Entry]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The statements that fail what waits, to be run before those that end the messages.

    The second returns the queues that it filled, and the ids of what ended because of it.
    """
    failed: list[str] = []
    joins: list[str] = []
    counted: set[str] = set()
    for entry in entries:
        if entry.feeds is None or entry.fed is None or entry.disposal == Disposal.ENDED:
            continue
        join = entry.feeds.hex()
        if entry.position is not None:
            counted.add(join)
        if entry.fed.startswith(FAILED):
            position = "null" if entry.position is None else str(entry.position)
            joins.append(join)
            failed.append(
                f'{{"cause":"{entry.key}","owner":{entry.owner},"feeds":"{join}",'
                f'"position":{position},"name":{_dumps(entry.name)},{entry.fed}}}'
            )
    if failed:
        params = {"failing": f"{{{','.join(joins)}}}", "counted": f"{{{','.join(counted)}}}"}
        yield LOCK_JOINS, params
        yield FAIL, {"failed": f"[{','.join(failed)}]"}
