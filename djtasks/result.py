"""The handle of a call: its state, and its result when it is there.

Names and behaviour are those of Celery's ``AsyncResult``. What it tells is read from the task's
own rows, so that name, arguments, worker, retries and queue are always known.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar, cast
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import connections

from djtasks import states
from djtasks.codec import register_type
from djtasks.exceptions import ImproperlyConfigured, IncompleteStream, TimeoutError
from djtasks.handle import Handle, value_of
from djtasks.joining import assert_will_not_block
from djtasks.queue import state as queue_state
from djtasks.queue.enqueue import Deferred
from djtasks.queue.wait import Waiting

R = TypeVar("R")

LONGEST_PAUSE = 5.0
"""Seconds between two looks at a state although nothing has woken the wait: a safety net."""


class AsyncResult(Handle[R]):
    """A task that was enqueued, by its id: its state, and the wait for its result."""

    __slots__ = ()

    TimeoutError = TimeoutError
    parent: AsyncResult[Any] | None

    @property
    def children(self) -> list[AsyncResult[Any]] | None:
        """The results of the calls that the task made, or None if there is nothing stored."""
        children = self._read().children
        return None if children is None else [result_from_tuple(c) for c in json.loads(children)]

    # Waiting for it

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        no_ack: bool = True,
        follow_parents: bool = True,
        callback: Callable[[str, Any], object] | None = None,
        on_message: None = None,
        on_interval: Callable[[], object] | None = None,
        disable_sync_subtasks: bool = True,
    ) -> R:
        """Wait until the task has ended and return its result.

        It wakes within milliseconds of the end, whatever ``interval`` says; that is how often
        ``on_interval`` is called. ``timeout`` is in seconds, 0 looks once, None waits without
        end. ``callback`` is called with the id and the result.

        Returns None at once if the result is ignored, and the exception of a failed task if
        ``propagate`` is False.

        Raises :class:`TimeoutError` (of :mod:`djtasks.exceptions`) when the time is over, the
        task's own exception when it failed (or that of a parent, with ``follow_parents``),
        :class:`TaskRevokedError` when it was revoked, and :class:`RuntimeError` inside a task
        (see :func:`allow_join_result`) or where the task waits for the caller's own commit.
        """
        if self.ignored:
            return cast(R, None)
        if disable_sync_subtasks:
            assert_will_not_block()
        if on_message is not None:
            raise ImproperlyConfigured("get(on_message=) needs a broker; use on_interval instead.")
        follow = follow_parents and propagate
        if not self._is_over(follow):
            deadline = None if timeout is None else time.monotonic() + timeout
            with Waiting(self._awaited(follow)) as waiting:
                while not self._is_over(follow):
                    self._check_visible(waiting)
                    waiting.pause(self._pause(deadline, interval if on_interval else None))
                    if on_interval is not None:
                        on_interval()
        return cast(R, self.maybe_throw(propagate=propagate, callback=callback))

    def wait(self, *args: Any, **kwargs: Any) -> R:
        """:meth:`get`, by its older name."""
        return self.get(*args, **kwargs)

    async def aget(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - as get()
        propagate: bool = True,
        follow_parents: bool = True,
        disable_sync_subtasks: bool = True,
    ) -> R:
        """:meth:`get` for asynchronous code: it waits without holding up the event loop."""
        if self.ignored:
            return cast(R, None)
        if disable_sync_subtasks:
            assert_will_not_block()
        follow = follow_parents and propagate
        is_over = sync_to_async(self._is_over)
        if not await is_over(follow):
            deadline = None if timeout is None else time.monotonic() + timeout
            waiting = await asyncio.to_thread(Waiting(self._awaited(follow)).__enter__)
            try:
                while not await is_over(follow):
                    await sync_to_async(self._check_visible)(waiting)
                    await asyncio.to_thread(waiting.pause, self._pause(deadline, 1.0))
            finally:
                # In a thread and not awaited: a cancelled caller leaves a pause running there,
                # which holds the connection for up to a second more.
                asyncio.get_running_loop().run_in_executor(None, waiting.__exit__, None, None, None)
        return cast(R, await sync_to_async(self.maybe_throw)(propagate=propagate))

    async def aready(self) -> bool:
        """:meth:`ready` for asynchronous code."""
        return await sync_to_async(self.ready)()

    async def astate(self) -> str:
        """:attr:`state` for asynchronous code."""
        return (await sync_to_async(self._read)()).state

    async def aresult(self) -> Any:
        """:attr:`result` for asynchronous code."""
        return await sync_to_async(lambda: self.result)()

    async def aforget(self) -> None:
        """:meth:`forget` for asynchronous code."""
        await sync_to_async(self.forget)()

    def maybe_throw(
        self, propagate: bool = True, callback: Callable[[str, Any], object] | None = None
    ) -> Any:
        """The result as far as it is known; raises it if the task failed or was revoked."""
        known = self._read()
        value = value_of(known)
        if propagate and known.state in states.PROPAGATE_STATES:
            self._throw(value)
        if callback is not None:
            callback(self.id, value)
        return value

    maybe_reraise = maybe_throw

    def forget(self) -> None:
        """Delete the stored result, and those of its parents. What is queued stays queued."""
        keys = []
        node: AsyncResult[Any] | None = self
        while node is not None:
            node._cache = None
            keys.append(node._key)
            node = node.parent
        queue_state.forget(keys)

    # The tree of results

    def as_tuple(self) -> tuple[tuple[str, Any], None]:
        """``((id, parent), None)``: what :func:`result_from_tuple` makes a handle from."""
        return (self.id, None if self.parent is None else self.parent.as_tuple()), None

    def as_list(self) -> list[str]:
        """The id, and those of the parents."""
        return [self.id, *([] if self.parent is None else self.parent.as_list())]

    def iterdeps(
        self, intermediate: bool = False
    ) -> Iterator[tuple[AsyncResult[Any] | None, AsyncResult[Any]]]:
        """Walk the tree of calls: pairs of a parent and its child, breadth first.

        Raises :class:`IncompleteStream` at a task that has not ended, unless ``intermediate``.
        """
        queue: deque[tuple[AsyncResult[Any] | None, AsyncResult[Any]]] = deque([(None, self)])
        while queue:
            parent, node = queue.popleft()
            yield parent, node
            if node.ready():
                queue.extend((node, child) for child in node.children or [])
            elif not intermediate:
                raise IncompleteStream(f"{node!r} has not ended.")

    def collect(
        self, intermediate: bool = False, **kwargs: Any
    ) -> Iterator[tuple[AsyncResult[Any], Any]]:
        """Walk the tree of calls, waiting for each: pairs of a handle and its result."""
        for _, node in self.iterdeps(intermediate=intermediate):
            yield node, node.get(**kwargs)

    def get_leaf(self) -> Any:
        """The result of the last task in the tree of calls."""
        value = None
        for _, node in self.iterdeps():
            value = node.get()
        return value

    # How it waits

    def _awaited(self, follow_parents: bool) -> list[UUID]:
        parents = self._parents() if follow_parents else []
        return [self._key, *[node._key for node in parents]]

    def _parents(self) -> list[AsyncResult[Any]]:
        found = []
        node = self.parent
        while node is not None:
            found.append(node)
            node = node.parent
        return found

    def _is_over(self, follow_parents: bool) -> bool:
        """Whether the wait is: the task has ended. Raises the failure of a parent."""
        if follow_parents:
            for node in reversed(self._parents()):
                node.maybe_throw()
        return self.ready()

    def _pause(self, deadline: float | None, interval: float | None) -> float:
        longest = LONGEST_PAUSE if interval is None else min(interval, LONGEST_PAUSE)
        if deadline is None:
            return longest
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("The operation timed out.")
        return min(left, longest)

    def _check_visible(self, waiting: Waiting) -> None:
        """Refuse to wait for a task that no worker can see before the caller has committed."""
        for connection in connections.all(initialized_only=True):
            if connection.in_atomic_block and (
                _is_deferred(connection, self._key)
                or (self._read().queued and not waiting.is_visible(self._key))
            ):
                raise RuntimeError(
                    f"Task {self.id} was enqueued in the transaction that is still open on the "
                    f"database {connection.alias!r}, so no worker can see it and get() would "
                    f"wait for ever. Call get() after the commit (in a test, after "
                    f"djtasks.testing.run_tasks())."
                )

    def _throw(self, value: Any) -> NoReturn:
        if isinstance(value, BaseException):
            raise value
        raise Exception(value)


def _is_deferred(connection: Any, key: UUID) -> bool:
    """Whether a task is only inserted when the transaction of this connection commits."""
    return any(
        isinstance(callback, Deferred) and any(m.id == key for m in callback.messages)
        for _, callback, *_ in connection.run_on_commit
    )


def result_from_tuple(r: Any, app: object = None) -> AsyncResult[Any]:
    """The handle that :meth:`AsyncResult.as_tuple` was made from, also after a JSON round trip."""
    if isinstance(r, AsyncResult):
        return r
    node, _ = r
    id, parent = node if isinstance(node, (list, tuple)) else (node, None)
    return AsyncResult(id, parent=result_from_tuple(parent) if parent else None)


def _as_lists(value: Any) -> Any:
    return [_as_lists(item) for item in value] if isinstance(value, tuple) else value


# A handle that is passed to a task or returned by one arrives as its tuple, as JSON writes it:
# result_from_tuple() makes a handle of that.
register_type(AsyncResult, None, lambda handle: _as_lists(handle.as_tuple()))
