"""The task that runs here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from djtasks.execution.request import current_frame

if TYPE_CHECKING:
    from djtasks.task import Task


def get_current_task() -> Task[..., Any] | None:
    """The task that runs in this thread or coroutine, or None."""
    frame = current_frame()
    return None if frame is None else frame.task


def get_current_worker_task() -> Task[..., Any] | None:
    """The same, not counting tasks that were called directly."""
    frame = current_frame()
    while frame is not None and frame.request.called_directly:
        frame = frame.parent
    return None if frame is None else frame.task


class CurrentTask:
    """Stands for the task that runs wherever it is used; false where none does.

    Every attribute is that of the running task: ``current_task.request.id``.
    """

    def __bool__(self) -> bool:
        return get_current_task() is not None

    def __getattr__(self, name: str) -> Any:
        task = get_current_task()
        if task is None:
            raise AttributeError(f"current_task.{name}: no task runs here.")
        return getattr(task, name)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, CurrentTask):
            return True
        return get_current_task() == other

    def __hash__(self) -> int:
        return hash(get_current_task())

    def __repr__(self) -> str:
        return repr(get_current_task())


current_task: Any = CurrentTask()
"""The task that runs here, as in Celery."""
