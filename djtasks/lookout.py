"""Looking out for the ends of many tasks at once: one wait for all, read in bulk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import connections

from djtasks.exceptions import TimeoutError
from djtasks.queue.enqueue import Deferred
from djtasks.queue.state import queued_among, read_ends
from djtasks.queue.wait import Waiting

if TYPE_CHECKING:
    from djtasks.result import AsyncResult

T = TypeVar("T")

LONGEST_PAUSE = 5.0
"""Seconds between two looks at everything although nothing has woken the wait: a safety net."""

SHORTEST_PAUSE = 0.005
"""Seconds between two looks at least, where several tasks are waited for ..."""

PAUSE_PER_TASK = 1e-6
"""... and so many more for each of them, since each costs a little at every look."""

LONGEST_ASYNC_PAUSE = 1.0
"""The same for coroutines: so long does a cancelled one keep its thread and its connection."""

FEW = 100
"""So many tasks are all looked at whenever one of them may have ended."""

MOST_OTHERS = 1000
"""Of tasks whose result is not wanted, such as the header of a chord, so many wake the wait."""

Steps = Generator[None, "list[AsyncResult[Any]]", T]
"""What somebody does who waits, after the first look: yields to get the handles that have ended
since, and returns what it waited for."""


class Lookout:
    """A wait for tasks: each turn is :meth:`prepare`, which may block, and then :meth:`look`.

    ``wanted`` are handles whose results are wanted, ``others`` those of which only the state is.
    What is found is put into the handles. ``timeout`` and ``interval`` are in seconds.
    """

    def __init__(
        self,
        wanted: Iterable[AsyncResult[Any]],
        others: Iterable[AsyncResult[Any]] = (),
        *,
        timeout: float | None = None,
        interval: float = 0.5,
        on_interval: Callable[[], object] | None = None,
    ) -> None:
        now = time.monotonic()
        self._deadline = None if timeout is None else now + timeout
        self.longest_pause = LONGEST_PAUSE
        self._interval = interval
        self._on_interval = on_interval
        self._next_call = now + interval
        self._looked = 0.0
        self._looked_at_all = 0.0
        self._turns = 0
        self._told: list[str] | None = None
        self._waiting: Waiting | None = None
        self._missing: dict[UUID, AsyncResult[Any]] = {}
        self._twins: dict[UUID, list[AsyncResult[Any]]] = {}
        for handle in wanted:
            if not handle._is_settled():
                self._add(handle)
        self._wanted = len(self._missing)
        self._unvalued: set[UUID] = set()
        for handle in others:
            if handle._is_stored and handle._end() is None:
                if handle._key not in self._missing:
                    self._unvalued.add(handle._key)
                self._add(handle)

    def _add(self, handle: AsyncResult[Any]) -> None:
        first = self._missing.setdefault(handle._key, handle)
        if first is not handle:
            twins = self._twins.setdefault(handle._key, [])
            if not any(twin is handle for twin in twins):
                twins.append(handle)

    def begin(self) -> None:
        """Take a first look, if there is anything to be found."""
        if self._missing:
            self.prepare()
            self.look()

    # A turn

    def prepare(self) -> None:
        """Wait until it is time to look. Django's connections are not used here.

        Raises :class:`TimeoutError` (of :mod:`djtasks.exceptions`) when the time is over.
        """
        self._turns += 1
        if self._turns == 1:
            return
        left = self._left()
        if self._waiting is None:
            # Entered before the look that follows, so that no end goes unseen.
            ids = list(self._missing)
            del ids[self._wanted : -MOST_OTHERS]
            self._waiting = Waiting(ids).__enter__()
            return
        self._told = self._pause(self._waiting, left)

    def look(self) -> list[AsyncResult[Any]]:
        """Read what has ended since; returns the handles, in the order in which they were given."""
        if self._on_interval is not None and self._turns > 2:
            now = time.monotonic()
            if now >= self._next_call:
                self._next_call = now + self._interval
                self._on_interval()
        found = self._read(self._to_read())
        if self._turns == 2 and self._waiting is not None:
            self._check_visible(self._waiting)
        return found

    def close(self) -> None:
        """End the wait."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.__exit__(None, None, None)

    # Its parts

    def _left(self) -> float:
        if self._deadline is None:
            return self.longest_pause
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("The operation timed out.")
        return left

    def _pause(self, waiting: Waiting, left: float) -> list[str] | None:
        longest = min(left, self.longest_pause)
        if self._on_interval is not None:
            longest = min(longest, max(0.0, self._next_call - time.monotonic()))
        until = time.monotonic() + longest
        if len(self._missing) > 1:
            # What ends in the meantime is read by one query.
            gap = SHORTEST_PAUSE + PAUSE_PER_TASK * len(self._missing)
            rest = min(self._looked + gap, until) - time.monotonic()
            if rest > 0:
                time.sleep(rest)
        return waiting.pause(until - time.monotonic())

    def _to_read(self) -> list[UUID]:
        self._looked = now = time.monotonic()
        told = self._told
        is_late = now - self._looked_at_all >= LONGEST_PAUSE or (
            self._deadline is not None and now >= self._deadline
        )
        if told is None or is_late or len(self._missing) <= FEW:
            self._looked_at_all = now
            return list(self._missing)
        ids = {UUID(id) for id in told}
        return [id for id in ids if id in self._missing]

    def _read(self, ids: list[UUID]) -> list[AsyncResult[Any]]:
        found: list[AsyncResult[Any]] = []
        valued = len(ids)
        if self._unvalued:
            ids.sort(key=self._unvalued.__contains__)
            valued = sum(id not in self._unvalued for id in ids)
        for id, end in read_ends(ids, valued):
            handles = [self._missing.pop(id), *self._twins.pop(id, ())]
            for handle in handles:
                handle._cache = end
            found += handles
        return found

    def _check_visible(self, waiting: Waiting) -> None:
        """Refuse to wait for a task that no worker can see before the caller has committed."""
        for connection in connections.all(initialized_only=True):
            if not connection.in_atomic_block:
                continue
            wanted = [id for id in self._missing if id not in self._unvalued]
            deferred = _deferred(connection)
            hidden = [id for id in wanted if id in deferred] if deferred else []
            if not hidden:
                hidden = waiting.hidden(queued_among(wanted))
            if hidden:
                raise RuntimeError(
                    f"Task {self._missing[hidden[0]].id} was enqueued in the transaction that is "
                    f"still open on the database {connection.alias!r}, so no worker can see it "
                    f"and get() would wait for ever. Call get() after the commit (in a test, "
                    f"after djtasks.testing.run_tasks())."
                )


def _deferred(connection: Any) -> set[UUID]:
    """The tasks that are only inserted when the transaction of this connection commits."""
    return {
        message.id
        for _, callback, *_ in connection.run_on_commit
        if isinstance(callback, Deferred)
        for message in callback.messages
    }


def wait(steps: Steps[T], lookout: Lookout) -> T:
    """Take the steps, each after a look, to their end; returns their value."""
    try:
        lookout.begin()
        next(steps)
        while True:
            lookout.prepare()
            steps.send(lookout.look())
    except StopIteration as stop:
        value: T = stop.value
        return value
    finally:
        lookout.close()


async def await_(steps: Steps[T], lookout: Lookout) -> T:
    """:func:`wait` for asynchronous code: it waits without holding up the event loop."""

    lookout.longest_pause = LONGEST_ASYNC_PAUSE

    def begin() -> tuple[T] | None:
        lookout.begin()
        return _advance(lambda: next(steps))

    def go_on() -> tuple[T] | None:
        found = lookout.look()
        return _advance(lambda: steps.send(found))

    try:
        ended = await sync_to_async(begin)()
        while ended is None:
            await asyncio.to_thread(lookout.prepare)
            ended = await sync_to_async(go_on)()
        return ended[0]
    finally:
        # In a thread and not awaited: a cancelled caller leaves a pause running there.
        asyncio.get_running_loop().run_in_executor(None, lookout.close)


def _advance(step: Callable[[], None]) -> tuple[Any] | None:
    """Take one step. The value, in a tuple, if it was the last: no future takes StopIteration."""
    try:
        step()
    except StopIteration as stop:
        return (stop.value,)
    return None


def learn(handles: Iterable[AsyncResult[Any]], *, values: bool = False) -> None:
    """Find out which of these have ended, and with ``values`` how, where that is not known yet.

    Only a look: nothing is waited for.
    """
    lookout = Lookout(handles) if values else Lookout((), handles)
    lookout.begin()
