"""Time limits of a running task, and who keeps them.

A child of the prefork pool, and the solo pool's main thread, are interrupted by SIGALRM, which
also ends a blocking call. A coroutine is interrupted at its next ``await``. Hard limits are kept
by the worker's parent, which kills the child.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from djtasks.exceptions import SoftTimeLimitExceeded

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator, Iterator
    from types import FrameType


@contextmanager
def soft_limit(seconds: float) -> Iterator[None]:
    """Raise :class:`SoftTimeLimitExceeded` in the block after this many seconds.

    Works in the main thread only, for that is where Python runs signal handlers.
    """
    armed = True

    def expire(signum: int, frame: FrameType | None) -> None:
        # The alarm may be delivered after the block has ended and before it is taken back.
        if armed:
            raise SoftTimeLimitExceeded(seconds)

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def can_interrupt() -> bool:
    """Whether a soft limit can be kept in this thread."""
    return threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")


async def within(coroutine: Coroutine[Any, Any, Any], seconds: float | None) -> Any:
    """Await a coroutine, raising :class:`SoftTimeLimitExceeded` in it after ``seconds``.

    The exception comes out of the ``await`` at which the coroutine stands, so that it can be
    caught there, as in a task that is no coroutine.
    """
    if seconds is None:
        return await coroutine
    current = asyncio.current_task()
    guarded = _Interruptible(coroutine, seconds)
    loop = asyncio.get_running_loop()

    def expire() -> None:
        guarded.expired = True
        if current is not None:
            current.cancel()

    timer = loop.call_later(seconds, expire)
    try:
        return await guarded
    finally:
        timer.cancel()


class _Interruptible:
    """A coroutine in which the cancellation that a limit causes becomes its exception."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], seconds: float) -> None:
        self._coroutine = coroutine
        self._seconds = seconds
        self.expired = False

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine = self._coroutine
        throw: BaseException | None = None
        value: Any = None
        while True:
            try:
                if throw is not None:
                    error, throw = throw, None
                    awaited = coroutine.throw(error)
                else:
                    awaited = coroutine.send(value)
            except StopIteration as stop:
                return stop.value
            try:
                value = yield awaited
            except asyncio.CancelledError as error:
                if self.expired:
                    self.expired = False
                    current = asyncio.current_task()
                    if current is not None:
                        current.uncancel()
                    throw = SoftTimeLimitExceeded(self._seconds)
                else:
                    throw = error
            except BaseException as error:
                throw = error
