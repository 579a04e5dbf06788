"""What a task class may override: called by the executor around the body of the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from djtasks.execution.einfo import ExceptionInfo

OVERRIDABLE = (
    "before_start",
    "on_success",
    "on_failure",
    "on_retry",
    "after_return",
    "shadow_name",
    "__call__",
)
"""Methods that are only called where a task has its own: see ``Task.overrides``."""


class Handlers:
    """Celery's handlers, which do nothing unless a task overrides them.

    ``args`` and ``kwargs`` are those of the run, ``einfo`` has the exception and its traceback.
    """

    def before_start(self, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Called right before the body. An exception here is a failure of the task."""

    def on_success(
        self, retval: Any, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        """Called when the body has returned ``retval``. An exception here is only logged."""

    def on_failure(
        self,
        exc: BaseException,
        task_id: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        einfo: ExceptionInfo,
    ) -> None:
        """Called when the task has failed with ``exc``. An exception here is only logged."""

    def on_retry(
        self,
        exc: BaseException | None,
        task_id: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        einfo: ExceptionInfo,
    ) -> None:
        """Called when the task will run again; ``exc`` is what ``retry(exc=)`` was given."""

    def after_return(
        self,
        status: str,
        retval: Any,
        task_id: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        einfo: ExceptionInfo | None,
    ) -> None:
        """Called after SUCCESS and FAILURE, and not after a retry.

        ``retval`` is the exception after a failure; ``einfo`` is None, as in Celery.
        """

    def shadow_name(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> str | None:
        """The name to show for a call in logs and in the admin, or None for the task's own."""
        return None
