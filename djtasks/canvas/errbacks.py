"""Calling the errbacks of tasks that never ran: what they waited for has failed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from djtasks.codec import decode_call, decode_exception
from djtasks.declare import shared_task
from djtasks.execution import calls
from djtasks.execution.einfo import ExceptionInfo
from djtasks.execution.request import Context
from djtasks.queue.enqueue import enqueue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@shared_task(name="djtasks.errbacks", bind=True, ignore_result=True)
def call_stored_errbacks(
    self: Any,
    task_id: str,
    task: str,
    payload: str,
    options: str,
    exception: str,
    traceback: str | None,
) -> None:
    """Call the errbacks of a chord's body whose header failed, once; sent by ``djtasks_fail``.

    ``payload``, ``options`` and ``exception`` are JSON texts, as the body's row had them.
    """
    carried = json.loads(options)
    if not carried.get("link_error"):
        # The word stood somewhere else in the options.
        return
    args, kwargs = decode_call(payload)
    call_errbacks(
        task_id,
        task,
        args,
        kwargs,
        carried,
        decode_exception(exception),
        traceback,
        root_id=self.request.root_id,
    )


def call_errbacks(
    task_id: str,
    task: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    carried: Mapping[str, Any],
    error: BaseException,
    traceback: str | None,
    *,
    root_id: str | None,
    parent_id: str | None = None,
) -> None:
    """Call the errbacks of a task that ended with ``error`` without having run.

    ``carried`` is what its message carries, its errbacks among it.
    """
    request = Context(
        id=task_id,
        task=task,
        args=list(args),
        kwargs=dict(kwargs),
        root_id=root_id,
        parent_id=parent_id,
        called_directly=False,
        **Context._from_options(dict(carried)),
    )
    einfo = ExceptionInfo(error)
    einfo.traceback = traceback or einfo.traceback
    messages = calls.errbacks(request, error, einfo)
    if messages:
        enqueue(messages, mode="transaction")
