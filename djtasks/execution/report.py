"""The log lines of running tasks, worded as Celery words them, and guarded handlers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from djtasks.exceptions import NotRegistered, Reject, Retry
    from djtasks.execution.einfo import ExceptionInfo
    from djtasks.execution.request import Context
    from djtasks.task import Task

logger = logging.getLogger("djtasks.worker")


def _extra(task_name: str | None, request: Context) -> dict[str, Any]:
    return {
        "task_id": request.id,
        "task_name": task_name,
        "data": {
            "id": request.id,
            "name": task_name,
            "args": request.args,
            "kwargs": request.kwargs,
            "hostname": request.hostname,
            "retries": request.retries,
        },
    }


def _name(task: Task[..., Any], request: Context) -> str:
    return request.shadow or task.name


def guard(task: Task[..., Any], handler: str, *args: Any) -> None:
    """Call a handler of a task; what it raises is logged and changes nothing."""
    try:
        getattr(task, handler)(*args)
    except Exception:
        logger.exception("%s of task %s failed", handler, task.name)


def succeeded(task: Task[..., Any], request: Context, retval: Any, runtime: float) -> None:
    """Log the end of a task that returned."""
    if logger.isEnabledFor(logging.INFO):
        shown = repr(retval)
        limit = task.option("resultrepr_maxsize")
        if len(shown) > limit:
            shown = shown[: max(0, limit - 3)] + "..."
        logger.info(
            "Task %s[%s] succeeded in %ss: %s",
            _name(task, request),
            request.id,
            runtime,
            shown,
            extra=_extra(task.name, request),
        )


def failed(
    task: Task[..., Any], request: Context, error: BaseException, einfo: ExceptionInfo
) -> None:
    """Log the end of a task that raised; an expected error without its traceback."""
    extra = _extra(task.name, request)
    if isinstance(error, tuple(task.option("throws"))):
        logger.info(
            "Task %s[%s] raised expected: %r", _name(task, request), request.id, error, extra=extra
        )
    else:
        logger.error(
            "Task %s[%s] raised unexpected: %r\n%s",
            _name(task, request),
            request.id,
            error,
            einfo.traceback,
            extra=extra,
        )


def retried(task: Task[..., Any], request: Context, retry: Retry) -> None:
    """Log that a task will run again."""
    logger.info(
        "Task %s[%s] retry: %s",
        _name(task, request),
        request.id,
        retry,
        extra=_extra(task.name, request),
    )


def ignored(task: Task[..., Any], request: Context) -> None:
    """Log that a task asked to leave no trace."""
    logger.info(
        "Task %s[%s] ignored", _name(task, request), request.id, extra=_extra(task.name, request)
    )


def rejected(task: Task[..., Any], request: Context, reject: Reject) -> None:
    """Log that a task rejected its message."""
    logger.warning(
        "Task %s[%s] rejected: %s%s",
        _name(task, request),
        request.id,
        reject.reason,
        " (requeued)" if reject.requeue else "",
        extra=_extra(task.name, request),
    )


def revoked(task: Task[..., Any], request: Context, reason: str) -> None:
    """Log that a task was not run any more."""
    logger.info(
        "Discarding revoked task: %s[%s] (%s)",
        _name(task, request),
        request.id,
        reason,
        extra=_extra(task.name, request),
    )


def unknown(request: Context, error: NotRegistered) -> None:
    """Log that a message names a task that nobody has known for too long."""
    logger.error(
        "Task %s[%s] failed: no worker has known this task for longer than "
        "DJTASKS['UNKNOWN_TASK_TIMEOUT']. Is its module imported, and its app installed?",
        request.task,
        request.id,
        extra=_extra(request.task, request),
    )
