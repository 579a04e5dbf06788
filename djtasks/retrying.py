"""What ``Task.retry()`` decides for the run it is called in, checked before it is carried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from djtasks.carried import travelling
from djtasks.codec import encode_call
from djtasks.exceptions import Retry
from djtasks.execution.retry import RetryPlan, switch_arguments
from djtasks.options import IGNORED_CALL_OPTIONS, RETRY_OPTIONS, is_priority
from djtasks.routing import queue_name
from djtasks.when import aware, expiry_of, seconds_of

if TYPE_CHECKING:
    from datetime import datetime

    from djtasks.execution.request import Context
    from djtasks.task import Task


def arguments(
    task: Task[..., Any],
    request: Context,
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of the next run: those of this one, as far as ``retry()`` gives no others."""
    return switch_arguments(task.run, args, kwargs, request.args or (), request.kwargs or {})


def retry_of(
    task: Task[..., Any],
    request: Context,
    *,
    exc: BaseException | None,
    arguments: tuple[tuple[Any, ...], dict[str, Any]] | None,
    eta: datetime | None,
    countdown: float | None,
    options: Mapping[str, Any],
) -> Retry:
    """The Retry to raise, with its plan; ``arguments`` are None where they stay.

    Raises :class:`TypeError` for arguments that the task does not take and for options that a
    retry cannot change, and :class:`EncodeError` for arguments that JSON cannot carry.
    """
    name = task.name
    if not eta and countdown is None:
        countdown = task.default_retry_delay
    if countdown is not None:
        countdown = seconds_of(f"Task {name}", "countdown", countdown)
    when = eta or countdown
    # As in a call: a countdown wins, and 0 is none.
    moment = None if countdown or not eta else aware(eta)
    if arguments is None:
        plan = RetryPlan(eta=moment, countdown=countdown, options=_changes(name, options))
    else:
        args, kwargs = arguments
        task._check_call(args, kwargs)
        plan = RetryPlan(
            args=args,
            kwargs=kwargs,
            payload=encode_call(args, kwargs, task=name),
            eta=moment,
            countdown=countdown,
            options=_changes(name, options),
        )
    retry = Retry(exc=exc, when=when, is_eager=request.is_eager)
    retry.plan = plan
    retry.sig = task.signature(
        plan.args if plan.args is not None else request.args,
        plan.kwargs if plan.kwargs is not None else request.kwargs,
        {
            "task_id": request.id,
            "retries": request.retries + 1,
            "countdown": countdown,
            "eta": eta,
            **options,
        },
    )
    return retry


def _changes(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a retry, checked, as the executor wants them."""
    unknown = [o for o in options if o not in RETRY_OPTIONS and o not in IGNORED_CALL_OPTIONS]
    if unknown:
        raise TypeError(
            f"Task {name}: retry() cannot change {unknown[0]!r}. It can change its arguments, eta, "
            f"countdown, and: {', '.join(sorted(RETRY_OPTIONS))}."
        )
    changes = travelling(name, options)
    limits = changes.pop("timelimit", None)
    if limits is not None:
        changes["time_limit"], changes["soft_time_limit"] = limits
    if options.get("queue") is not None:
        changes["queue"] = queue_name(name, options["queue"])
    if (priority := options.get("priority")) is not None:
        if not is_priority(priority):
            raise TypeError(f"Task {name}: priority must be a whole number, not {priority!r}.")
        changes["priority"] = priority
    if options.get("expires") is not None:
        changes["expires"] = expiry_of(name, options["expires"])
    return changes
