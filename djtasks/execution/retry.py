"""Whether, when and with which arguments a task runs again: pure decisions, with Celery's rules.

``Task.retry()`` raises what is decided here; the executor carries it out by putting the same
message back into the queue, in the commit that stores the state RETRY.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from djtasks.exceptions import Ignore, Reject, Retry

if TYPE_CHECKING:
    from datetime import datetime

    from djtasks.task import Task

_LARGEST_EXPONENT = 64
"""Beyond it a doubled delay is longer than any limit, and the power costs time and memory."""


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """What a retry changes of its message: the same id and everything else stay.

    ``args`` and ``kwargs`` are None where the message keeps its own, else ``payload`` is the JSON
    text of both. The new time is ``countdown`` seconds from when the retry is stored, or
    ``eta``. ``options`` are those of :data:`djtasks.options.RETRY_OPTIONS` that were given.
    """

    args: tuple[Any, ...] | None = None
    kwargs: dict[str, Any] | None = None
    payload: str | None = None
    eta: datetime | None = None
    countdown: float | None = None
    options: dict[str, Any] = field(default_factory=dict)


class Randomness(Protocol):
    """What is used of :mod:`random`."""

    def randrange(self, stop: int, /) -> int:
        """A number from 0 to ``stop - 1``."""


def exhausted(retries: int, max_retries: int | None) -> bool:
    """Whether a task that has been retried ``retries`` times may not be retried once more.

    ``max_retries=3`` allows four executions in total; None allows any number.
    """
    return max_retries is not None and retries + 1 > max_retries


def backoff_delay(
    retries: int,
    *,
    factor: float,
    maximum: float,
    jitter: bool,
    rng: Randomness = random,
) -> int:
    """Seconds before the retry that follows ``retries`` earlier ones.

    ``min(maximum, factor * 2 ** retries)``, where a factor below 1 counts as 1 and fractions are
    dropped; with ``jitter`` a random whole number from 0 to that.
    """
    whole_factor = int(max(1.0, factor))
    delay: int = min(int(maximum), whole_factor * 2 ** min(retries, _LARGEST_EXPONENT))
    if jitter:
        delay = rng.randrange(delay + 1)
    return max(0, delay)


def wants_autoretry(task: Task[..., Any], error: BaseException) -> bool:
    """Whether an exception that came out of the task's body asks for a retry by itself."""
    return (
        bool(task.autoretry_for)
        and isinstance(error, task.autoretry_for)
        and not isinstance(error, (Ignore, Reject, Retry))
        and not isinstance(error, task.dont_autoretry_for)
    )


def autoretry_arguments(
    task: Task[..., Any], retries: int, override: int | None = None, rng: Randomness = random
) -> dict[str, Any]:
    """The arguments of the ``retry()`` that ``autoretry_for`` asks for.

    They are ``retry_kwargs``, with the countdown of ``retry_backoff`` if that is set.
    ``override`` is a ``max_retries`` that the body gave to a ``retry()`` of its own before: it
    holds for this attempt.
    """
    arguments: dict[str, Any] = dict(task.retry_kwargs)
    factor = float(task.retry_backoff)
    if factor:
        arguments["countdown"] = backoff_delay(
            retries,
            factor=factor,
            maximum=task.retry_backoff_max,
            jitter=task.retry_jitter,
            rng=rng,
        )
    if override is not None:
        arguments["max_retries"] = override
    return arguments


def switch_arguments(
    run: Callable[..., Any],
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
    inherited_args: Sequence[Any],
    inherited_kwargs: Mapping[str, Any],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a retry that gives new ones, some or all.

    What is not given is inherited. Where only positional arguments are given, inherited keyword
    arguments for the same parameters are dropped; where only keyword arguments are given, they
    replace inherited positional ones of the same name. ``run`` is the task's body without the
    task itself.
    """
    if args is not None and kwargs is not None:
        return tuple(args), dict(kwargs)
    if args is not None:
        return tuple(args), _without_positional(run, len(args), inherited_kwargs)
    if kwargs is not None:
        return _rebound(run, kwargs, inherited_args, inherited_kwargs)
    return tuple(inherited_args), dict(inherited_kwargs)


def _without_positional(
    run: Callable[..., Any], count: int, kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    kept = dict(kwargs)
    if kept:
        positional = [
            parameter
            for parameter in _parameters(run).values()
            if parameter.kind
            in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        ]
        for parameter in positional[:count]:
            if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
                kept.pop(parameter.name, None)
    return kept


def _rebound(
    run: Callable[..., Any],
    kwargs: Mapping[str, Any],
    inherited_args: Sequence[Any],
    inherited_kwargs: Mapping[str, Any],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    # Given keyword arguments replace the inherited ones as a whole; Celery does the same.
    if not inherited_args:
        return (), dict(kwargs)
    parameters = _parameters(run)
    try:
        bound = inspect.Signature(list(parameters.values())).bind_partial(*inherited_args)
    except TypeError:
        # More arguments than the body takes: the check of the call tells the caller.
        return tuple(inherited_args), dict(kwargs)
    later = dict(kwargs)
    for name in list(later):
        if (
            name in bound.arguments
            and parameters[name].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        ):
            bound.arguments[name] = later.pop(name)
    return bound.args, {**bound.kwargs, **later}


def _parameters(run: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(run).parameters
    except ValueError:
        # Some callables written in C tell nothing of their parameters: nothing is switched.
        return {}
