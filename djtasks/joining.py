"""Whether code may wait for a task's result here: inside a task it must not, unless allowed.

A task that waits for another one holds its place in the worker while it does; with every place
held like that, nothing would ever run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from djtasks.execution.request import frames

E_WOULDBLOCK = (
    "Never call result.get() within a task! It holds a place of the worker that the other task "
    "may need, and the two can wait for each other for ever. Link the follow-up with link= "
    "instead, or use `with allow_join_result():` (or get(disable_sync_subtasks=False)) where the "
    "other task surely runs elsewhere."
)

_denied: ContextVar[bool | None] = ContextVar("djtasks_join_denied", default=None)


def task_join_will_block() -> bool:
    """Whether ``get()`` refuses here: inside a task that a worker runs, or where it is denied."""
    denied = _denied.get()
    if denied is not None:
        return denied
    return any(
        not frame.request.called_directly and not frame.request.is_eager for frame in frames()
    )


def assert_will_not_block() -> None:
    """Raise :class:`RuntimeError` where :func:`task_join_will_block`."""
    if task_join_will_block():
        raise RuntimeError(E_WOULDBLOCK)


@contextmanager
def allow_join_result() -> Iterator[None]:
    """Within the block results may be waited for, also inside a task."""
    token = _denied.set(False)
    try:
        yield
    finally:
        _denied.reset(token)


@contextmanager
def denied_join_result() -> Iterator[None]:
    """Within the block results may not be waited for."""
    token = _denied.set(True)
    try:
        yield
    finally:
        _denied.reset(token)
