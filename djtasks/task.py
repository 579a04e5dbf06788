"""The task: a callable with options, one instance for each name in every process."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Generic, ParamSpec, TypeVar, Unpack, cast

from asgiref.sync import sync_to_async
from django.db.utils import OperationalError

from djtasks import calling
from djtasks.canvas.items import chunks, xmap, xstarmap
from djtasks.canvas.signature import Signature, signature
from djtasks.conf import conf
from djtasks.eager import EagerResult, apply, apply_instead
from djtasks.execution.request import (
    Context,
    current_frame,
    pop,
    push,
)
from djtasks.handlers import OVERRIDABLE
from djtasks.header import header_of
from djtasks.lanes import OPTIONS as LIMITS
from djtasks.lanes import Limits
from djtasks.options import CallOptions, unknown_call_option, unknown_name
from djtasks.registry import registry
from djtasks.result import AsyncResult
from djtasks.running import Running
from djtasks.unique_keys import check_declared

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from djtasks.app import App

P = ParamSpec("P")
R = TypeVar("R")

RESERVED = frozenset({"app", "is_async", "limits", "option", "overrides", "request"})
"""Attributes that the worker relies on: a subclass must not use their names for its own."""


class Task(Running, Generic[P, R]):
    """A task. Made by ``@shared_task``, or as a subclass with ``run()`` and ``register_task``.

    There is one instance for each task in every process, so attributes of ``self`` are shared by
    all its runs there; what belongs to one run is in ``self.request``. Options are attributes,
    with the names and meanings of Celery; one that is not set follows the setting of its name.
    """

    OperationalError = OperationalError

    is_async: ClassVar[bool] = False
    """Whether the body is a coroutine function."""
    overrides: frozenset[str] = frozenset()
    """Which of :data:`djtasks.handlers.OVERRIDABLE` the task has its own of."""
    _dump_pydantic_arguments: ClassVar[Callable[..., Any] | None] = None
    """Turns the models of a caller into JSON; set for tasks with ``pydantic=True``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in RESERVED & vars(cls).keys():
            raise TypeError(
                f"{cls.__qualname__}.{name} would hide what every task has under that name: "
                f"choose another name."
            )
        cls._refresh()

    @classmethod
    def _refresh(cls) -> None:
        """Find out again what is known of the class, after its attributes were changed."""
        cls._check_options()
        if cls.unique_key is not None:
            check_declared(cls.name or cls.__qualname__, cls)
        cls.is_async = inspect.iscoroutinefunction(cls.run)
        cls.overrides = frozenset(
            name for name in OVERRIDABLE if getattr(cls, name) is not getattr(Task, name)
        )

    if TYPE_CHECKING:
        __name__: str
        __qualname__: str
    else:
        # A type checker would take this for leave to set any attribute.
        def __setattr__(self, name: str, value: object) -> None:
            object.__setattr__(self, name, value)
            if name in OVERRIDABLE:
                # Set on the instance, as a test's patch does.
                object.__setattr__(self, "overrides", self.overrides | {name})
            elif name in LIMITS:
                self.__dict__.pop("limits", None)

    @property
    def app(self) -> App:
        """The app object, :data:`djtasks.app`."""
        from djtasks.app import app

        return app

    def run(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The body of the task."""
        raise NotImplementedError("Tasks must define the run method.")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the task here and now: nothing is stored, and what it raises propagates.

        The task sees a request with ``called_directly=True``.
        """
        frame = current_frame()
        if (
            frame is not None
            and frame.task is self
            and "__call__" in self.overrides
            and not frame.request.called_directly
            and not frame.request.get("_entered")
        ):
            # A worker called the task's own __call__, which calls this one: it has its request.
            frame.request.update(_entered=True)
            return self.run(*args, **kwargs)
        request = Context(**{**vars(self.request), "args": args, "kwargs": kwargs})
        if self.is_async:
            return cast(R, self._await_within(request, self.run(*args, **kwargs)))
        token = push(self, request)
        try:
            return self.run(*args, **kwargs)
        finally:
            pop(token)

    async def _await_within(self, request: Context, coroutine: Any) -> Any:
        token = push(self, request)
        try:
            return await coroutine
        finally:
            pop(token)

    # Calling

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Enqueue a call with these arguments; :meth:`apply_async` takes options too."""
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        producer: object = None,
        link: Signature[Any] | Sequence[Signature[Any]] | None = None,
        link_error: Signature[Any] | Sequence[Signature[Any]] | None = None,
        shadow: str | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncResult[R]:
        """Enqueue a call.

        ``args`` and ``kwargs`` are the task's arguments. ``task_id`` is an id of the caller's
        own, any text. ``link`` is enqueued with the result prepended when the task succeeds;
        ``link_error`` is called when it fails. ``shadow`` is the name to show. ``options`` are
        those of :class:`djtasks.options.CallOptions`; times are in seconds.

        Raises :class:`TypeError` for arguments that the task does not take (unless
        ``typing=False``) and for an unknown option, :class:`EncodeError` for arguments that
        JSON cannot carry, :class:`DuplicateTaskId` for a ``task_id`` that is queued or running,
        :class:`NotUnique` for a unique task that is to raise where another has its key,
        and :class:`ValueError` if the task's soft time limit is longer than its hard one. With
        ``TASK_ALWAYS_EAGER`` the task runs at once and the result is an :class:`EagerResult`.
        """
        given: dict[str, Any] = cast("dict[str, Any]", options)
        if given and (unknown := unknown_name(given)) is not None:
            raise unknown_call_option(f"{self.name}.apply_async()", unknown)
        if task_id is not None:
            given["task_id"] = task_id
        if link is not None:
            given["link"] = link
        if link_error is not None:
            given["link_error"] = link_error
        if shadow is not None:
            given["shadow"] = shadow
        if args is None:
            args = ()
        if kwargs is None:
            kwargs = {}
        self._check_call(args, kwargs)
        if self._dump_pydantic_arguments is not None:
            args, kwargs = self._dump_pydantic_arguments(args, kwargs)
        if conf.TASK_ALWAYS_EAGER:
            return apply_instead(self, args, kwargs, given)
        return calling.send(self.name, self, args, kwargs, given)

    def _check_call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise what is wrong with a call's arguments and with the task itself."""
        if not self.name:
            raise ValueError(f"{self!r} is not registered: use djtasks.app.register_task().")
        calling.check_arguments(self.name, args, kwargs)
        soft, hard = self.soft_time_limit, self.time_limit
        if soft and hard and soft > hard:
            raise ValueError("soft_time_limit must be less than or equal to time_limit")
        if self.typing:
            self._header(*args, **kwargs)

    @cached_property
    def limits(self) -> Limits:
        """What limits how many of these tasks run, and how often they start."""
        return Limits(self)

    @cached_property
    def _header(self) -> Callable[..., None]:
        """Raises :class:`TypeError` when called with arguments that the task does not take."""
        body = inspect.getattr_static(type(self), "run")
        if isinstance(body, staticmethod):
            return header_of(body.__func__, bound=False)
        return header_of(body, bound=True)

    def apply_async_on_commit(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AsyncResult[R]:
        """:meth:`apply_async`, but the message is written after the caller's commit."""
        return self.apply_async(args, kwargs, **{**options, "enqueue": "on_commit"})

    def delay_on_commit(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """:meth:`delay`, but the message is written after the caller's commit."""
        return self.apply_async(args, kwargs, enqueue="on_commit")

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """:meth:`delay` for asynchronous code."""
        return await sync_to_async(self.delay)(*args, **kwargs)

    async def aapply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AsyncResult[R]:
        """:meth:`apply_async` for asynchronous code."""
        return await sync_to_async(self.apply_async)(args, kwargs, **options)

    def apply(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        link: Any = None,
        link_error: Any = None,
        task_id: str | None = None,
        retries: int | None = None,
        throw: bool | None = None,
        **options: Any,
    ) -> EagerResult[R]:
        """Run the task here, through the worker's executor, and return its result.

        Handlers and signals are called, a retry runs at once. The arguments are used as they
        are. With ``throw`` (default: ``TASK_EAGER_PROPAGATES``) a failure is raised.
        """
        return apply(
            self,
            tuple(args or ()),
            dict(kwargs or {}),
            {**options, "link": link, "link_error": link_error, "task_id": task_id},
            retries=retries or 0,
            throw=throw,
        )

    # Signatures and results

    def signature(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        **more_options: Any,
    ) -> Signature[R]:
        """A call to be made later, with these arguments and options."""
        return signature(self, args, kwargs, options, **more_options)

    subtask = signature

    def s(self, *args: Any, **kwargs: Any) -> Signature[R]:
        """A call to be made later, with star arguments; further ones may come before them."""
        return self.signature(args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature[R]:
        """:meth:`s`, immutable: arguments that are given later are ignored."""
        return self.signature(args, kwargs, immutable=True)

    def map(self, it: Iterable[Any]) -> xmap:
        """A signature that calls the task with each item, one after the other, in one run."""
        return xmap(self.s(), it)

    def starmap(self, it: Iterable[Iterable[Any]]) -> xstarmap:
        """:meth:`map`, but each item has all the arguments of a call."""
        return xstarmap(self.s(), it)

    def chunks(self, it: Iterable[Iterable[Any]], n: int) -> chunks:
        """Many calls in runs of ``n`` calls each; ``it`` has the arguments of each call."""
        return chunks(self.s(), it, n)

    def AsyncResult(self, task_id: str, **kwargs: Any) -> AsyncResult[R]:
        """The result of a call of this task, by its id."""
        return AsyncResult(task_id, task_name=self.name, **kwargs)

    # As a value

    def __repr__(self) -> str:
        return f"<@task: {self.name} of djtasks at {id(self):#x}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its name, looked up in the registry of the process that reads it."""
        return _task_by_name, (self.name, type(self).__module__)


class CoroutineTask(Task[P, R]):
    """A task whose body is an ``async def`` function: calling it directly gives a coroutine."""

    if TYPE_CHECKING:

        def __call__(  # type: ignore[override]
            self, *args: P.args, **kwargs: P.kwargs
        ) -> Coroutine[Any, Any, R]:
            """A coroutine that runs the task when it is awaited."""


def _task_by_name(name: str, module: str) -> Task[..., Any]:
    if name not in registry and module not in sys.modules:
        import_module(module)
    return registry[name]
