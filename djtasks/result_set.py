"""Several results as one: those of a group, or any others.

Names and behaviour are those of Celery's ``ResultSet`` and ``GroupResult``. What is not known yet
of their tasks is read and waited for together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from asgiref.sync import sync_to_async

from djtasks.codec import register_type
from djtasks.handles import Handles
from djtasks.ids import to_uuid
from djtasks.joining import assert_will_not_block
from djtasks.lookout import Lookout, Steps, await_, learn, wait
from djtasks.queue import groups
from djtasks.result import (
    AsyncResult,
    as_lists,
    forget,
    refuse_on_message,
    result_from_tuple,
    revoke,
)

if TYPE_CHECKING:
    from typing import Self

Callback = Callable[[str, Any], object]


class ResultSet(Handles):
    """A collection of results: handles of tasks, or sets of them.

    ``results`` is the list itself if it is one. ``app`` is taken for Celery's sake.
    """

    __slots__ = ()

    @property
    def supports_native_join(self) -> bool:
        """True: the results are waited for together."""
        return True

    # Waiting for them

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        callback: Callback | None = None,
        no_ack: bool = True,
        on_message: None = None,
        disable_sync_subtasks: bool = True,
        on_interval: Callable[[], object] | None = None,
    ) -> Any:
        """:meth:`join_native`."""
        return self.join_native(
            timeout=timeout,
            propagate=propagate,
            interval=interval,
            callback=callback,
            on_message=on_message,
            on_interval=on_interval,
            disable_sync_subtasks=disable_sync_subtasks,
        )

    def join(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        callback: Callback | None = None,
        no_ack: bool = True,
        on_message: None = None,
        disable_sync_subtasks: bool = True,
        on_interval: Callable[[], object] | None = None,
    ) -> list[Any]:
        """Wait for all tasks and return their results in the order of the set.

        Each is handled as by :meth:`AsyncResult.get`, one after the other: a failure is raised
        when those before it have ended. ``timeout`` is for all together. With a ``callback``,
        which is called with the id and the result of each, an empty list is returned.
        """
        if disable_sync_subtasks:
            assert_will_not_block()
        refuse_on_message(on_message)
        lookout = Lookout(
            self._leaves(),
            self._parents_of_leaves() if propagate else (),
            timeout=timeout,
            interval=interval,
            on_interval=on_interval,
        )
        return wait(self._one_by_one(propagate, callback), lookout)

    def join_native(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        callback: Callback | None = None,
        no_ack: bool = True,
        on_message: None = None,
        on_interval: Callable[[], object] | None = None,
        disable_sync_subtasks: bool = True,
    ) -> list[Any] | None:
        """Wait for all tasks and return their results in the order of the set.

        Unlike :meth:`join`, it raises a failure as soon as it is known, and the ``callback`` is
        called in the order in which the tasks end; then None is returned.
        """
        if disable_sync_subtasks:
            assert_will_not_block()
        refuse_on_message(on_message)
        lookout = Lookout(
            self._leaves(), timeout=timeout, interval=interval, on_interval=on_interval
        )
        if callback is None:
            return wait(self._all_together(propagate), lookout)
        wait(self._as_they_end(propagate, callback), lookout)
        return None

    def iter_native(
        self,
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,
        on_message: None = None,
        on_interval: Callable[[], object] | None = None,
    ) -> Iterator[tuple[str, Any]]:
        """Yield the id and what is known of each task, in the order in which they end.

        What is known is a dictionary with ``task_id``, ``status``, ``result``, ``traceback`` and
        ``children``; for a group in the set it is the list of its results.
        """
        refuse_on_message(on_message)
        lookout = Lookout(
            self._leaves(), timeout=timeout, interval=interval, on_interval=on_interval
        )
        left = list(self.results)
        try:
            lookout.begin()
            while left:
                ended, left = _sorted_out(left)
                for member in ended:
                    yield str(member), member._meta()
                if left:
                    lookout.prepare()
                    lookout.look()
        finally:
            lookout.close()

    def maybe_throw(self, callback: Callback | None = None, propagate: bool = True) -> None:
        """Raise the first failure that is known; ``callback`` gets each result until there."""
        learn(self._leaves(), values=True)
        for member in self.results:
            if callback is not None or not isinstance(member, AsyncResult) or member._is_settled():
                member.maybe_throw(callback=callback, propagate=propagate)

    maybe_reraise = maybe_throw

    def forget(self) -> None:
        """Delete the stored results, and those of the tasks' parents."""
        forget(self._forgettable())

    def revoke(
        self,
        connection: object = None,
        terminate: bool = False,
        signal: str | None = None,
        wait: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Take the tasks from the queue; with ``terminate`` also end what runs them.

        See :meth:`AsyncResult.revoke`.
        """
        revoke(list(self._leaves()), terminate=terminate, signal=signal)

    # For asynchronous code

    async def aget(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - as get()
        propagate: bool = True,
        disable_sync_subtasks: bool = True,
    ) -> list[Any]:
        """:meth:`get` for asynchronous code: it waits without holding up the event loop."""
        if disable_sync_subtasks:
            assert_will_not_block()
        return await await_(self._all_together(propagate), Lookout(self._leaves(), timeout=timeout))

    async def ajoin(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - as join()
        propagate: bool = True,
        disable_sync_subtasks: bool = True,
    ) -> list[Any]:
        """:meth:`join` for asynchronous code: it waits without holding up the event loop."""
        if disable_sync_subtasks:
            assert_will_not_block()
        parents = self._parents_of_leaves() if propagate else ()
        lookout = Lookout(self._leaves(), parents, timeout=timeout)
        return await await_(self._one_by_one(propagate, None), lookout)

    async def aready(self) -> bool:
        """:meth:`ready` for asynchronous code."""
        return await sync_to_async(self.ready)()

    async def asuccessful(self) -> bool:
        """:meth:`successful` for asynchronous code."""
        return await sync_to_async(self.successful)()

    async def afailed(self) -> bool:
        """:meth:`failed` for asynchronous code."""
        return await sync_to_async(self.failed)()

    async def awaiting(self) -> bool:
        """:meth:`waiting` for asynchronous code."""
        return await sync_to_async(self.waiting)()

    async def acompleted_count(self) -> int:
        """:meth:`completed_count` for asynchronous code."""
        return await sync_to_async(self.completed_count)()

    async def aforget(self) -> None:
        """:meth:`forget` for asynchronous code."""
        await sync_to_async(self.forget)()

    async def arevoke(self, terminate: bool = False, signal: str | None = None) -> None:
        """:meth:`revoke` for asynchronous code."""
        await sync_to_async(self.revoke)(terminate=terminate, signal=signal)

    # How they are waited for

    def _one_by_one(self, propagate: bool, callback: Callback | None) -> Steps[list[Any]]:
        values = []
        for member in self.results:
            for leaf in member._leaves():
                parents = leaf._leaves_before() if propagate else []
                yield from leaf._until_ended(parents)
            value = member._settled(propagate)
            if callback is None:
                values.append(value)
            else:
                callback(str(member), value)
        return values

    def _all_together(self, propagate: bool) -> Steps[list[Any]]:
        if propagate:
            for leaf in self._leaves():
                leaf._raise_failure()
        for leaf in self._leaves():
            while not leaf._is_settled():
                for ended in (yield):
                    if propagate:
                        ended._raise_failure()
        return self._settled(propagate)

    def _as_they_end(self, propagate: bool, callback: Callback) -> Steps[None]:
        left = self.results
        while left:
            ended, left = _sorted_out(left)
            for member in ended:
                callback(str(member), member._settled(propagate))
            if left:
                yield


class GroupResult(ResultSet):
    """The results of a group, with its id.

    ``id`` is a text or a UUID; ``parent`` is the result of what came before the group.
    """

    __slots__ = ("id", "parent")

    id: str | None
    parent: AsyncResult[Any] | GroupResult | None

    def __init__(
        self,
        id: str | UUID | None = None,
        results: Iterable[Any] | None = None,
        parent: AsyncResult[Any] | GroupResult | None = None,
        app: object = None,
        **kwargs: object,
    ) -> None:
        super().__init__([] if results is None else results)
        self.id = str(id) if isinstance(id, UUID) else id
        self.parent = parent

    @property
    def children(self) -> list[Any]:
        """The results."""
        return self.results

    # Kept under its id

    def save(self, backend: object = None) -> Self:
        """Store which results the group has, for :meth:`restore`; returns the group itself.

        It is kept as long as results are: see the setting ``RESULT_EXPIRES``. Raises
        :class:`ValueError` without an id.
        """
        key, custom_id = to_uuid(self._saved_as())
        groups.save(key, json.dumps(self.as_tuple()), custom_id=custom_id)
        return self

    @classmethod
    def restore(
        cls, id: str | UUID, backend: object = None, app: object = None
    ) -> GroupResult | None:
        """The group that was saved under this id, or None."""
        saved = groups.read(to_uuid(id)[0])
        return None if saved is None else cast("GroupResult", result_from_tuple(json.loads(saved)))

    def delete(self, backend: object = None) -> None:
        """Delete what was saved. The results themselves are kept: see :meth:`forget`."""
        groups.delete(to_uuid(self._saved_as())[0])

    async def asave(self) -> Self:
        """:meth:`save` for asynchronous code."""
        return await sync_to_async(self.save)()

    @classmethod
    async def arestore(cls, id: str | UUID) -> GroupResult | None:
        """:meth:`restore` for asynchronous code."""
        return await sync_to_async(cls.restore)(id)

    async def adelete(self) -> None:
        """:meth:`delete` for asynchronous code."""
        await sync_to_async(self.delete)()

    def _saved_as(self) -> str:
        if self.id is None:
            raise ValueError("A GroupResult needs an id to be saved under: GroupResult(id, ...).")
        return self.id

    # As a value

    def as_tuple(self) -> tuple[tuple[str | None, Any], list[Any]]:
        """``((id, parent), [results])``: what :func:`result_from_tuple` makes a group from."""
        return self._as_tuple(None if self.parent is None else self.parent.as_tuple())

    def _as_tuple(self, parent: Any) -> tuple[tuple[str | None, Any], list[Any]]:
        return (self.id, parent), [member.as_tuple() for member in self.results]

    def __bool__(self) -> bool:
        return bool(self.id or self.results)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, GroupResult):
            return (self.id, self.results, self.parent) == (other.id, other.results, other.parent)
        if isinstance(other, str):
            return self.id == other
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return str(self.id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.id} [{', '.join(map(str, self.results))}]>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.id, self.results, self.parent)


def _sorted_out(members: list[Any]) -> tuple[list[Any], list[Any]]:
    """Those that have ended, and the others."""
    ended: list[Any] = []
    left: list[Any] = []
    for member in members:
        (ended if member._is_settled() else left).append(member)
    return ended, left


register_type(GroupResult, None, lambda group: as_lists(group.as_tuple()))
