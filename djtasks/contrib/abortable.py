"""Tasks that can be asked to abort, as in ``celery.contrib.abortable``.

Every task here can ask ``self.is_aborted()``; what this adds is the handle with ``abort()``. ::

    @shared_task(bind=True, base=AbortableTask)
    def export(self, ids):
        for id in ids:
            if self.is_aborted():
                return None
            ...


    result = export.delay(ids)
    result.abort()
"""

from __future__ import annotations

from typing import Any, ParamSpec, TypeVar

from djtasks.queue.aborting import request_abort
from djtasks.queue.state import ABORTED
from djtasks.result import AsyncResult
from djtasks.task import Task

__all__ = ["ABORTED", "AbortableAsyncResult", "AbortableTask"]

P = ParamSpec("P")
R = TypeVar("R")


class AbortableAsyncResult(AsyncResult[R]):
    """The handle of an abortable task."""

    __slots__ = ()

    def is_aborted(self) -> bool:
        """Whether the task was asked to abort and has not ended."""
        return self.state == ABORTED

    def abort(self) -> bool:
        """Ask the task to abort, before it begins or while it runs; returns whether it may still.

        What has ended stays as it is. A task that was asked has the state of its end when it ends.
        """
        return bool(request_abort([self.key], revoke=False))


class AbortableTask(Task[P, R]):
    """A task whose calls return handles with :meth:`AbortableAsyncResult.abort`."""

    abstract = True

    def apply_async(self, *args: Any, **kwargs: Any) -> Any:
        """:meth:`Task.apply_async`; the handle can abort the task."""
        result = super().apply_async(*args, **kwargs)
        if type(result) is not AsyncResult:
            # An eager one: it has ended.
            return result
        handle = AbortableAsyncResult[R].of(result.key, result.id, self.name, result.ignored)
        handle.parent = result.parent
        return handle

    def AsyncResult(self, task_id: str, **kwargs: Any) -> AbortableAsyncResult[R]:
        """The handle of a call of this task, by its id."""
        return AbortableAsyncResult(task_id, task_name=self.name, **kwargs)

    def is_aborted(self, **kwargs: Any) -> bool:
        """Whether the running task, or that of ``task_id=``, was asked to abort."""
        task_id = kwargs.get("task_id")
        if task_id is not None and task_id != self.request.id:
            return self.AsyncResult(task_id).is_aborted()
        return super().is_aborted()
