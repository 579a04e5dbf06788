"""What is kept of runs that were not the last: members of the JSON that the statements read."""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING, Final

from djtasks.codec import storable
from djtasks.exceptions import Reject, Retry
from djtasks.queue.outcome import Disposal

if TYPE_CHECKING:
    from djtasks.queue.outcome import Outcome

LONGEST_MESSAGE: Final = 500
"""The most characters of an error that an attempt keeps."""

_dumps = json.JSONEncoder(separators=(",", ":")).encode


def attempt_members(outcome: Outcome) -> str:
    """What an outcome that puts its message back says of the run, behind a comma; else nothing."""
    error = outcome.error if outcome.error is not None else outcome.retval
    if outcome.disposal is Disposal.RETRY:
        if isinstance(error, Retry) and isinstance(error.exc, BaseException):
            error = error.exc
        return f",{_of(error)}" if isinstance(error, BaseException) else ""
    if outcome.disposal is Disposal.RELEASE and outcome.lost_deliveries:
        state = "REJECTED" if isinstance(error, Reject) else "LOST"
        told = f",{_of(error)}" if isinstance(error, BaseException) else ""
        return f',"attempt":"{state}"{told}'
    return ""


def lost_members(error: BaseException, seconds: float | None = None) -> str:
    """What is said of a run that was lost after ``seconds``, if that is known."""
    runtime = "" if seconds is None else f',"runtime":{seconds:.6f}'
    return f'"attempt":"LOST",{_of(error)}{runtime}'


def _of(error: BaseException) -> str:
    return f'"raised":{_dumps(type(error).__qualname__)},"message":{_dumps(last_line(error))}'


def last_line(error: BaseException) -> str:
    """The last line of an exception's traceback, cut to what is kept of it. Never fails."""
    try:
        text = "".join(traceback.format_exception_only(error))
    except Exception as trouble:
        text = f"{type(error).__qualname__}: <{type(trouble).__qualname__} in its text>"
    lines = storable(text).rstrip().splitlines()
    return lines[-1][:LONGEST_MESSAGE] if lines else ""
