"""The handle of a call: its state, and its result when it is there.

Names and behaviour are those of Celery's ``AsyncResult``. What it tells is read from the task's
own rows, so that name, arguments, worker, retries and queue are always known.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from asgiref.sync import sync_to_async

from djtasks import states
from djtasks.codec import register_type
from djtasks.exceptions import ImproperlyConfigured, IncompleteStream, TimeoutError
from djtasks.handle import Handle, value_of
from djtasks.joining import allow_join_result, assert_will_not_block, denied_join_result
from djtasks.lookout import Lookout, Steps, await_, learn, wait
from djtasks.queue import state as queue_state

if TYPE_CHECKING:
    from uuid import UUID

    from djtasks.eager import EagerResult
    from djtasks.result_set import GroupResult, ResultSet

__all__ = [
    "AsyncResult",
    "EagerResult",
    "GroupResult",
    "ResultSet",
    "allow_join_result",
    "assert_will_not_block",
    "denied_join_result",
    "result_from_tuple",
]

R = TypeVar("R")

_ELSEWHERE = {
    "EagerResult": "djtasks.eager",
    "GroupResult": "djtasks.result_set",
    "ResultSet": "djtasks.result_set",
}
"""What Celery has in this module as well: found here too, but made of what is here."""


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE[name]), name)


class AsyncResult(Handle[R]):
    """A task that was enqueued, by its id: its state, and the wait for its result."""

    __slots__ = ()

    TimeoutError = TimeoutError
    parent: Any
    """What came before it: a result, the result of a group, or None."""

    @property
    def children(self) -> list[Any] | None:
        """The results of the calls that the task made, and of what follows it in a chain.

        None if there is nothing stored.
        """
        known = self._told()
        told = known.children
        if told is None and not self._is_stored:
            return None
        children: list[Any] = [result_from_tuple(c) for c in json.loads(told or "[]")]
        following = queue_state.following(self._key) if known.is_followed else []
        handles = [AsyncResult[Any](custom_id or id) for id, custom_id, _ in following]
        if len(handles) > 1:
            children.append(GroupResult(following[0][2], handles))
        else:
            children += handles
        return children or (None if told is None else children)

    @property
    def supports_native_join(self) -> bool:
        """True: sets of results are waited for together."""
        return True

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
        refuse_on_message(on_message)
        parents = self._leaves_before() if follow_parents and propagate else []
        lookout = Lookout(
            (self,), parents, timeout=timeout, interval=interval, on_interval=on_interval
        )
        wait(self._until_ended(parents), lookout)
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
        parents = self._leaves_before() if follow_parents and propagate else []
        await await_(self._until_ended(parents), Lookout((self,), parents, timeout=timeout))
        return cast(R, await sync_to_async(self.maybe_throw)(propagate=propagate))

    async def aready(self) -> bool:
        """:meth:`ready` for asynchronous code."""
        return await sync_to_async(self.ready)()

    async def astate(self) -> str:
        """:attr:`state` for asynchronous code."""
        return await sync_to_async(lambda: self.state)()

    async def aresult(self) -> Any:
        """:attr:`result` for asynchronous code."""
        return await sync_to_async(lambda: self.result)()

    async def arevoke(self, terminate: bool = False, signal: str | None = None) -> None:
        """:meth:`revoke` for asynchronous code."""
        await sync_to_async(self.revoke)(terminate=terminate, signal=signal)

    async def aforget(self) -> None:
        """:meth:`forget` for asynchronous code."""
        await sync_to_async(self.forget)()

    def maybe_throw(
        self, propagate: bool = True, callback: Callable[[str, Any], object] | None = None
    ) -> Any:
        """The result as far as it is known; raises it if the task failed or was revoked."""
        known = self._told()
        value = value_of(known)
        if propagate and known.state in states.PROPAGATE_STATES:
            self._throw(value)
        if callback is not None:
            callback(self.id, value)
        return value

    maybe_reraise = maybe_throw

    def forget(self) -> None:
        """Delete the stored result, and those of its parents. What is queued stays queued."""
        forget(self._forgettable())

    def revoke(
        self,
        connection: object = None,
        terminate: bool = False,
        signal: str | None = None,
        wait: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Take the task from the queue; with ``terminate`` also end the process that runs it.

        It is then killed by ``signal`` (``SIGTERM`` if none is given) within a second of the
        commit, where its worker's tasks have processes of their own (the pool prefork), and ends
        as REVOKED. ``connection``, ``wait`` and ``timeout`` are taken for Celery's sake: what no
        worker has begun is revoked when this returns. Raises :class:`ValueError` for a signal
        that does not end a process. https://docs.celeryq.dev/en/stable/userguide/workers.html
        """
        revoke([self], terminate=terminate, signal=signal)

    # The tree of results

    def as_tuple(self) -> tuple[tuple[str, Any], None]:
        """``((id, parent), None)``: what :func:`result_from_tuple` makes a handle from."""
        before = None
        for node in reversed(self._parents()):
            before = node._as_tuple(before)
        return self._as_tuple(before)

    def _as_tuple(self, parent: Any) -> tuple[tuple[str, Any], None]:
        return (self.id, parent), None

    def as_list(self) -> list[str]:
        """The id, and those of the parents."""
        return [self.id, *(str(node) for node in self._parents())]

    def iterdeps(self, intermediate: bool = False) -> Iterator[tuple[Any, Any]]:
        """Walk the tree of calls: pairs of a parent and its child, breadth first.

        They are handles and groups of them. Raises :class:`IncompleteStream` at one that has not
        ended, unless ``intermediate``.
        """
        queue: deque[tuple[Any, Any]] = deque([(None, self)])
        while queue:
            parent, node = queue.popleft()
            yield parent, node
            if node.ready():
                children = node.children or []
                learn((leaf for child in children for leaf in child._leaves()), values=True)
                queue.extend((node, child) for child in children)
            elif not intermediate:
                raise IncompleteStream(f"{node!r} has not ended.")

    def collect(self, intermediate: bool = False, **kwargs: Any) -> Iterator[tuple[Any, Any]]:
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

    def _parents(self) -> list[AsyncResult[Any] | GroupResult]:
        """What came before it, the nearest first."""
        found: list[AsyncResult[Any] | GroupResult] = []
        node = self.parent
        while node:
            found.append(node)
            node = node.parent
        return found

    def _leaves(self) -> Iterator[AsyncResult[Any]]:
        """The tasks that it stands for: itself."""
        yield self

    def _leaves_before(self) -> list[AsyncResult[Any]]:
        """The tasks that came before it, the first one first."""
        if self.parent is None:
            return []
        return [leaf for node in reversed(self._parents()) for leaf in node._leaves()]

    def _is_settled(self) -> bool:
        """Whether its result is here, or none is to come."""
        return self.ignored or not (self._cache is None or isinstance(self._cache, str))

    def _raise_failure(self) -> None:
        """Raise the exception of a failure that is known."""
        if self._end() in states.PROPAGATE_STATES:
            self.maybe_throw()

    def _until_ended(self, parents: Sequence[AsyncResult[Any]]) -> Steps[None]:
        """Wait until its result is here. Raises the failure of a parent, unless it failed too."""
        # What waits in a workflow fails in the commit of its cause, with an exception of its own:
        # that one is raised, for both are read by the same query.
        self._raise_first_failure(parents)
        ours = set(map(id, parents))
        while not self._is_settled():
            found = yield
            self._raise_first_failure(leaf for leaf in found if id(leaf) in ours)

    def _raise_first_failure(self, parents: Iterable[AsyncResult[Any]]) -> None:
        if self._end() not in states.PROPAGATE_STATES:
            for leaf in parents:
                leaf._raise_failure()

    def _settled(self, propagate: bool) -> Any:
        """The result, which is here."""
        return None if self.ignored else self.maybe_throw(propagate=propagate)

    def _meta(self) -> dict[str, Any]:
        """What is known of it, as Celery's backends tell it."""
        return {
            "task_id": self.id,
            "status": self.state,
            "result": self.result,
            "traceback": self.traceback,
            "children": self.children,
        }

    def _forgettable(self) -> Iterator[AsyncResult[Any]]:
        """What is forgotten with it: as in Celery, up to the first group before it."""
        node: AsyncResult[Any] | GroupResult | None = self
        while isinstance(node, AsyncResult):
            yield node
            node = node.parent
        if node:
            yield from node._forgettable()

    def _throw(self, value: Any) -> NoReturn:
        if isinstance(value, BaseException):
            raise value
        raise Exception(value)


def refuse_on_message(on_message: object) -> None:
    """Raise :class:`ImproperlyConfigured` for a callback that a broker would call."""
    if on_message is not None:
        raise ImproperlyConfigured("get(on_message=) needs a broker; use on_interval instead.")


def forget(handles: Iterator[AsyncResult[Any]]) -> None:
    """Delete the results of these tasks."""
    keys: list[UUID] = []
    for handle in handles:
        if handle._is_stored:
            handle._cache = None
            keys.append(handle._key)
    queue_state.forget(keys)


def revoke(handles: Sequence[AsyncResult[Any]], *, terminate: bool, signal: str | None) -> None:
    """Take these tasks from the queue; with ``terminate`` also kill what runs them."""
    from djtasks.control.families import revoke_tasks
    from djtasks.control.workers import checked_signal
    from djtasks.queue.revoke import revoke as revoke_queued

    name = checked_signal(signal or "SIGTERM")
    ids = [handle._key for handle in handles]
    if terminate:
        revoke_tasks(ids, terminate=True, signal=name)
    else:
        revoke_queued(ids)


def result_from_tuple(r: Any, app: object = None) -> AsyncResult[Any] | GroupResult:
    """The handle that ``as_tuple()`` was made from, also after a JSON round trip.

    That of a group is a :class:`GroupResult`.
    """
    from djtasks.result_set import GroupResult, ResultSet

    chain: list[Any] = []
    while not isinstance(r, (AsyncResult, ResultSet)):
        chain.append(r)
        node, _ = r
        r = node[1] if isinstance(node, (list, tuple)) else None
        if not r:
            break
    made: Any = r or None
    for node, members in reversed(chain):
        id = node[0] if isinstance(node, (list, tuple)) else node
        if members is None:
            made = AsyncResult(id, parent=made)
        else:
            made = GroupResult(id, [result_from_tuple(one) for one in members], parent=made)
    return cast("AsyncResult[Any] | GroupResult", made)


def as_lists(value: Any) -> Any:
    """A tuple of tuples as JSON writes it."""
    return [as_lists(item) for item in value] if isinstance(value, (tuple, list)) else value


# A handle that is passed to a task or returned by one arrives as its tuple, as JSON writes it:
# result_from_tuple() makes a handle of that.
register_type(AsyncResult, None, lambda handle: as_lists(handle.as_tuple()))
