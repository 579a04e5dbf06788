"""What a task asked for while it ran: another try of itself, links, errbacks, its trail."""

from __future__ import annotations

import inspect
import json
import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

from djtasks import states
from djtasks.exceptions import InvalidTaskError
from djtasks.execution.coroutines import run_coroutine
from djtasks.execution.retry import RetryPlan, autoretry_arguments
from djtasks.queue.enqueue import collecting
from djtasks.queue.outcome import Disposal, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from djtasks.exceptions import Retry
    from djtasks.execution.einfo import ExceptionInfo
    from djtasks.execution.request import Context
    from djtasks.queue.delivery import Delivery
    from djtasks.queue.message import Row
    from djtasks.task import Task

logger = logging.getLogger("djtasks.worker")


def payload_of(delivery: Delivery) -> str:
    """The JSON of a message's arguments. Raises :class:`InvalidTaskError` if they are gone."""
    if delivery.payload is None and delivery.payload_id is not None:
        raise InvalidTaskError(
            "Its arguments, which were stored apart for their size, are not there any more."
        )
    return delivery.payload or "[[],{}]"


def plan_of(task: Task[..., Any], retry: Retry) -> RetryPlan:
    """What a raised Retry changes; one that the task raised by hand uses its own delay."""
    plan: RetryPlan | None = getattr(retry, "plan", None)
    if plan is not None:
        return plan
    if isinstance(retry.when, datetime):
        return RetryPlan(eta=retry.when)
    when = retry.when
    return RetryPlan(countdown=task.default_retry_delay if when is None else float(when))


def autoretry(task: Task[..., Any], request: Context, error: BaseException) -> None:
    """Raise Retry, as ``retry()`` does, or what it raises when no try is left."""
    override = request.get("override_max_retries")
    task.retry(exc=error, **autoretry_arguments(task, request.retries, override))


def changes(task: Task[..., Any], request: Context, plan: RetryPlan) -> dict[str, Any]:
    """The columns of ``retry.sql`` for a retry; ``payload`` is JSON text."""
    again: dict[str, Any] = {"retries": request.retries + 1, "deliveries": 0}
    if plan.eta is not None:
        again["eta"] = plan.eta.isoformat()
    else:
        delay = plan.countdown
        again["delay"] = max(0.0, float(task.default_retry_delay if delay is None else delay))
    if plan.payload is not None:
        again["payload"] = plan.payload
    options = dict(plan.options)
    queue = options.pop("queue", None)
    if queue is not None:
        again["queue"] = str(getattr(queue, "name", queue))
    priority = options.pop("priority", None)
    if priority is not None:
        again["rank"] = -int(priority)
    expires = options.pop("expires", None)
    if expires is not None:
        again["expires"] = expires.isoformat() if isinstance(expires, datetime) else expires
    if options:
        delivery = request.get("delivery")
        kept = json.loads(delivery.options) if delivery and delivery.options else {}
        limits = [options.pop("time_limit", None), options.pop("soft_time_limit", None)]
        if limits != [None, None]:
            old = kept.get("timelimit") or [None, None]
            kept["timelimit"] = [
                new if new is not None else before for new, before in zip(limits, old, strict=True)
            ]
        again["options"] = {**kept, **options}
    return again


def replaced(request: Context) -> Outcome:
    """The outcome of a task in whose place another has come."""
    row, others = request.replacement or (None, [])
    return Outcome(
        Disposal.REPLACE,
        states.IGNORED,
        stored=False,
        messages=others,
        replacement=row,
    )


def follow(request: Context, links: Sequence[Any], retval: Any) -> list[Row]:
    """The messages of the signatures linked to a task that succeeded with ``retval``."""
    from djtasks.canvas.signature import signature

    messages: list[Row] = []
    with collecting(messages.extend):
        for link in links:
            signature(link).apply_async((retval,), parent_id=request.id, root_id=request.root_id)
    return messages


def errbacks(
    request: Context,
    error: BaseException,
    einfo: ExceptionInfo,
    run: Callable[[Coroutine[Any, Any, Any]], Any] = run_coroutine,
) -> list[Row]:
    """Call or enqueue the errbacks of a task that failed.

    One that takes more than one argument is called here with the request, the exception and the
    traceback, a coroutine by ``run``; any other is enqueued with the id of the failed task. What
    one raises is logged.
    """
    from djtasks.canvas.signature import signature
    from djtasks.registry import registry

    messages: list[Row] = []
    if not request.errbacks:
        return messages
    with collecting(messages.extend):
        for link in request.errbacks:
            errback = signature(link)
            task = registry.get(errback.task)
            try:
                if task is not None and not task.bind and _takes_several(task):
                    called = errback.clone((request, error, einfo.traceback))()
                    if task.is_async:
                        run(called)
                else:
                    errback.apply_async(
                        (request.id,), parent_id=request.id, root_id=request.root_id
                    )
            except Exception:
                logger.exception("Errback %s of task %s failed", errback.task, request.id)
    return messages


def children_of(request: Context) -> str | None:
    """The results of calls that the task made, as JSON, or None if there are none."""
    children = request.__dict__.get("_children")
    if not children:
        return None
    return json.dumps([child.as_tuple() for child in children])


def _takes_several(task: Task[..., Any]) -> bool:
    parameters = inspect.signature(task.run).parameters.values()
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
        return True
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional for p in parameters) > 1
