"""Enqueueing thousands of calls: one round trip for every thousand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from djtasks import calling
from djtasks.calling import Defaults
from djtasks.canvas.signature import Signature
from djtasks.conf import conf
from djtasks.eager import apply_instead
from djtasks.options import unknown_call_option, unknown_name
from djtasks.queue.enqueue import enqueue
from djtasks.registry import registry
from djtasks.routing import routes_by_name
from djtasks.signals import after_task_publish, before_task_publish
from djtasks.task import Task

if TYPE_CHECKING:
    from djtasks.options import EnqueueMode
    from djtasks.queue.message import NewMessage
    from djtasks.result import AsyncResult

BATCH = 1000
"""Messages in one round trip."""

Target = Task[..., Any] | str
Values = Mapping[str, Any] | None
Call = (
    Signature[Any]
    | tuple[Target, Sequence[Any]]
    | tuple[Target, Sequence[Any], Values]
    | tuple[Target, Sequence[Any], Values, Values]
)


def enqueue_many(calls: Iterable[Call]) -> list[AsyncResult[Any]]:
    """Enqueue many calls, and return their results in the same order.

    Each call is a signature, that of a workflow too, or a tuple of a task (or its name) and its
    args, optionally followed by its kwargs and a mapping of the options of ``apply_async``. They
    are read and written a thousand at a time, so an iterator of any length is never in memory as a
    whole (its results are, at some 150 bytes each). Calls with ``enqueue="on_commit"`` are written
    after the others of their thousand, when the transaction commits.

    A unique call whose key another has, an earlier one of these too, has the handle of that one in
    its place.

    Everything that is checked for a single call is checked here, and raises the same. What was
    written before an error stays, unless the caller's transaction is rolled back: put the call
    into ``transaction.atomic()`` for all or nothing. In a task, these calls are no ``children``.
    """
    if conf.TASK_ALWAYS_EAGER or before_task_publish.receivers or after_task_publish.receivers:
        return [_one_by_one(call) for call in calls]
    results: list[AsyncResult[Any]] = []
    batches: dict[EnqueueMode, list[NewMessage]] = {"transaction": [], "on_commit": []}
    known: dict[str, Defaults] = {}
    keyed: list[tuple[int, NewMessage]] = []
    gathered = 0
    for call in calls:
        if _is_workflow(call):
            # What came before stays before.
            _write(batches)
            gathered = 0
            results.append(call.apply_async(add_to_parent=False))
            continue
        name, task, args, kwargs, options = _parts(call)
        defaults = known.get(name)
        if defaults is None or defaults.task is not task:
            defaults = Defaults(name, task, args, kwargs, options)
            if routes_by_name():
                known[name] = defaults
        if task is not None and type(task).apply_async is not Task.apply_async:
            # The task's class has its own way of being called; what came before stays before.
            _write(batches)
            gathered = 0
            results.append(task.apply_async(args, kwargs, **dict(options)))
            continue
        args, kwargs = _checked(defaults, args, kwargs)
        message = calling.build(defaults, args, kwargs, options)
        result = calling.handle_of(message, defaults, options)
        if message.unique is not None:
            keyed.append((len(results), message))
        results.append(result)
        if calling.goes_to_queue(name, args, kwargs, options, result):
            batches[calling.mode_of(defaults, options)].append(message)
            gathered += 1
            if gathered == BATCH:
                _write(batches)
                known.clear()
                gathered = 0
    _write(batches)
    for place, message in keyed:
        results[place] = calling.handle_of_holder(message, results[place])
    return results


def _write(batches: dict[EnqueueMode, list[NewMessage]]) -> None:
    for mode, messages in batches.items():
        if messages:
            enqueue(messages, mode=mode)
            # A new list: what waits for a commit may hold on to this one.
            batches[mode] = []


def _parts(call: Any) -> tuple[str, Task[..., Any] | None, Any, Any, Mapping[str, Any]]:
    """Name, task, args, kwargs and options of a call; its options are known ones."""
    args: Any = ()
    kwargs: Any = None
    options: Mapping[str, Any] | None = None
    if isinstance(call, Signature):
        target: Any = call.task
        args, kwargs, options = call._merge()
    elif isinstance(call, (tuple, list)) and 1 <= len(call) <= 4:
        target, *rest = call
        if rest:
            args = rest[0]
            if len(rest) > 1:
                kwargs = rest[1]
                if len(rest) > 2:
                    options = rest[2]
    else:
        raise TypeError(
            f"enqueue_many() takes signatures and tuples of (task, args, kwargs, options), not "
            f"{call!r}."
        )
    task: Task[..., Any] | None
    if isinstance(target, Task):
        name, task = target.name, target
    elif isinstance(target, str):
        name, task = target, registry.get(target)
    else:
        raise TypeError(f"enqueue_many(): {target!r} is neither a task nor the name of one.")
    if not options:
        return name, task, args, kwargs, calling.NO_OPTIONS
    if (unknown := unknown_name(options)) is not None:
        raise unknown_call_option(f"enqueue_many(), in a call of {name},", unknown)
    return name, task, args, kwargs, options


def _checked(defaults: Defaults, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The arguments of a call, checked, with models as JSON."""
    if args is None:
        args = ()
    if kwargs is None:
        kwargs = calling.NO_OPTIONS
    calling.check_arguments(defaults.name, args, kwargs)
    if defaults.check is not None:
        defaults.check(*args, **kwargs)
    task = defaults.task
    if task is not None and task._dump_pydantic_arguments is not None:
        args, kwargs = task._dump_pydantic_arguments(args, kwargs)
    return args, kwargs


def _is_workflow(call: Call) -> TypeGuard[Signature[Any]]:
    """Whether a call is that of several tasks: a chain, a group, a chord or chunks."""
    return isinstance(call, Signature) and type(call).apply_async is not Signature.apply_async


def _one_by_one(call: Call) -> AsyncResult[Any]:
    if _is_workflow(call):
        return call.apply_async(add_to_parent=False)
    name, task, args, kwargs, options = _parts(call)
    args, kwargs = _checked(Defaults(name, task, args, kwargs, options), args, kwargs)
    if conf.TASK_ALWAYS_EAGER and task is not None:
        return apply_instead(task, args, kwargs, options)
    return calling.send(name, task, args, kwargs, {**options, "add_to_parent": False})
