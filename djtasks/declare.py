"""Making tasks from functions: ``@shared_task`` and what ``@app.task`` shares with it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar, overload

from djtasks.options import (
    HANDLERS,
    IGNORED_TASK_OPTIONS,
    TASK_OPTIONS,
    check_unknown_task_option,
    checked_task_option,
)
from djtasks.registry import adopt, registry
from djtasks.task import CoroutineTask, Task

P = ParamSpec("P")
R = TypeVar("R")

_PYDANTIC = ("pydantic", "pydantic_strict", "pydantic_context", "pydantic_dump_kwargs")
_CONSTRUCTION = frozenset({"name", "base", "bind", *_PYDANTIC})
"""Options that say how a task is made, and are no attributes."""

_KEYS = frozenset({"concurrency_key", "order_key", "fair_key"})

_TASK_ATTRIBUTES = frozenset(dir(Task))


class Declare(Protocol):
    """What ``@shared_task(...)`` is: it makes a task of a function."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> CoroutineTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...


class DeclareBound(Protocol):
    """What ``@shared_task(bind=True)`` is: the function takes the task first."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /
    ) -> CoroutineTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Any, P], R], /) -> Task[P, R]: ...


@overload
def shared_task(function: Callable[P, Coroutine[Any, Any, R]], /) -> CoroutineTask[P, R]: ...
@overload
def shared_task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def shared_task(*, bind: Literal[True], **options: Any) -> DeclareBound: ...
@overload
def shared_task(*, bind: Literal[False] = ..., **options: Any) -> Declare: ...
def shared_task(*args: Any, **options: Any) -> Any:
    """Make a task of a function, which may be ``async def``; returns the registered task.

    Bare (``@shared_task``) or with options (``@shared_task(max_retries=5)``): those of
    :data:`djtasks.options.TASK_OPTIONS`, with Celery's meanings, and handlers. An option of
    another name becomes an attribute of the task.

    Raises :class:`TypeError` for an option whose name is nearly a known one or hides a method,
    for a value that an option cannot have, and where the function is a task already.
    """
    return decorator("shared_task", args, options)


def decorator(what: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """The body of a decorator that may be used bare or with options."""
    if len(args) > 1:
        raise TypeError(f"@{what} takes one function, and options by name; not {len(args)} values.")
    if args:
        return task_from_function(args[0], what, options)
    return lambda function: task_from_function(function, what, options)


def gen_task_name(name: str, module: str) -> str:
    """``module.name``, with the app's ``main`` in place of ``__main__`` where that is set."""
    from djtasks.app import app

    if module == "__main__" and app.main:
        module = app.main
    return f"{module}.{name}"


def task_from_function(function: Any, what: str, options: Mapping[str, Any]) -> Task[..., Any]:
    """Make and register the task of a function, or return the one of that name."""
    if isinstance(function, Task):
        raise TypeError(
            f"@{what} was applied to {function.name}, which is a task already: remove one of the "
            f"decorators."
        )
    if isinstance(function, type):
        raise TypeError(
            f"@{what} makes tasks of functions; register the class {function.__qualname__} with "
            f"djtasks.app.register_task()."
        )
    if not callable(function):
        raise TypeError(f"argument 1 to @{what} must be a callable, not {function!r}.")
    own_name = getattr(function, "__name__", None)
    given_name = options.get("name")
    if own_name is None and given_name is None:
        raise TypeError(f"@{what}: {function!r} has no name of its own; give it one with name=.")
    attributes = checked_options(str(given_name or own_name), options)
    name = given_name or gen_task_name(str(own_name), function.__module__)
    existing = registry.get(name)
    if existing is not None:
        kept = existing.__dict__.get("declared")
        if kept is not function:
            registry.note_duplicate(
                name,
                kept=kept or existing,
                dropped=function,
                consequence="The first one stays: calls under this name reach it.",
            )
        return existing
    body = function
    if options.get("pydantic"):
        from djtasks.contrib.pydantic import validated

        body = validated(
            function,
            task=name,
            bound=bool(options.get("bind")),
            strict=bool(options.get("pydantic_strict", False)),
            context=options.get("pydantic_context"),
            dump_kwargs=options.get("pydantic_dump_kwargs"),
        )
        attributes["_dump_pydantic_arguments"] = staticmethod(body.dump_arguments)
    task = _class_of(function, body, name, options, attributes)()
    task.__dict__["declared"] = function
    registry.register(task)
    adopt(task)
    return task


def checked_options(where: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The task attributes that options become; raises what is wrong with them."""
    attributes = {}
    for option, value in options.items():
        if option in TASK_OPTIONS:
            checked = checked_task_option(where, option, value)
            if option in _KEYS and callable(checked):
                # It takes what the task takes, and no task before that.
                checked = staticmethod(checked)
            if option not in _CONSTRUCTION:
                attributes[option] = checked
        elif option in HANDLERS:
            if not callable(value):
                raise TypeError(f"Task {where}: the handler {option} must be a function.")
            attributes[option] = value
        elif option in IGNORED_TASK_OPTIONS:
            continue
        else:
            check_unknown_task_option(where, option, _TASK_ATTRIBUTES)
            attributes[option] = value
    return attributes


def _class_of(
    function: Any,
    body: Any,
    name: str,
    options: Mapping[str, Any],
    attributes: dict[str, Any],
) -> type[Task[..., Any]]:
    import inspect

    base = options.get("base") or Task
    if not (isinstance(base, type) and issubclass(base, Task)):
        raise TypeError(f"Task {name}: base must be a subclass of djtasks.Task, not {base!r}.")
    bases: tuple[type, ...] = (base,)
    if inspect.iscoroutinefunction(body) and not issubclass(base, CoroutineTask):
        bases = (CoroutineTask,) if base is Task else (base, CoroutineTask)
    bound = bool(options.get("bind"))
    own_name = getattr(function, "__name__", name.rpartition(".")[2])
    return type(
        own_name,
        bases,
        {
            "__doc__": function.__doc__,
            "__module__": function.__module__,
            "__qualname__": getattr(function, "__qualname__", own_name),
            "name": name,
            "bind": bound,
            "run": body if bound else staticmethod(body),
            "__wrapped__": body if bound else staticmethod(body),
            **attributes,
        },
    )
