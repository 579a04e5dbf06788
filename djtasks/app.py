"""The app object: there is one, and it is only a place where Celery's users look for things."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

from django.apps import apps

from djtasks import calling, signals
from djtasks.beat import entries
from djtasks.canvas.signature import Signature as Sig
from djtasks.canvas.signature import signature
from djtasks.conf import Conf, conf
from djtasks.current import get_current_task, get_current_worker_task
from djtasks.declare import Declare, DeclareBound, checked_options, decorator, gen_task_name
from djtasks.exceptions import AlwaysEagerIgnored, DjtasksWarning
from djtasks.options import unknown_call_option, unknown_name
from djtasks.registry import TaskRegistry, adopt, adopt_awaiting, registry
from djtasks.result import AsyncResult as Result
from djtasks.result_set import GroupResult, ResultSet
from djtasks.task import CoroutineTask
from djtasks.task import Task as BaseTask
from djtasks.unique_keys import check_declared

if TYPE_CHECKING:
    from djtasks.control.remote import Control

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", bound=BaseTask[..., Any])


class App:
    """``djtasks.app``: the tasks, the settings, and calls by name.

    ``main`` replaces ``__main__`` in the names of tasks that are declared in a script.
    """

    Task = BaseTask
    AsyncResult = Result
    ResultSet = ResultSet
    GroupResult = GroupResult
    Signature = Sig

    def __init__(self) -> None:
        self.main: str | None = None
        self.on_configure = signals.AppSignal("on_configure")
        self.on_after_configure = signals.AppSignal("on_after_configure", "source")
        self.on_after_finalize = signals.AppSignal("on_after_finalize")

    @property
    def conf(self) -> Conf:
        """The settings, in upper case or in Celery's lower case: ``app.conf.task_acks_late``."""
        return conf

    @property
    def tasks(self) -> TaskRegistry:
        """Every registered task by name; an unknown name raises :class:`NotRegistered`."""
        return registry

    @property
    def control(self) -> Control:
        """Celery's remote control: ``app.control.revoke(id)``, ``app.control.inspect().ping()``."""
        from djtasks.control.remote import Control

        return Control()

    @property
    def current_task(self) -> BaseTask[..., Any] | None:
        """The task that runs in this thread or coroutine, or None."""
        return get_current_task()

    @property
    def current_worker_task(self) -> BaseTask[..., Any] | None:
        """The same, not counting tasks that were called directly."""
        return get_current_worker_task()

    @overload
    def task(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> CoroutineTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> BaseTask[P, R]: ...
    @overload
    def task(self, *, bind: Literal[True], **options: Any) -> DeclareBound: ...
    @overload
    def task(self, *, bind: Literal[False] = ..., **options: Any) -> Declare: ...
    def task(self, *args: Any, **options: Any) -> Any:
        """``@app.task``: the same as :func:`shared_task`.

        ``shared`` and ``lazy`` are taken for Celery's sake; ``filter`` is a function that gets
        the task and returns what the decorator does.
        """
        options.pop("shared", None)
        options.pop("lazy", None)
        post: Callable[[Any], Any] | None = options.pop("filter", None)
        made = decorator("app.task", args, options)
        if post is None:
            return made
        if args:
            return post(made)
        return lambda function: post(made(function))

    def register_task(self, task: T | type[T], **options: Any) -> T:
        """Register a class-based task, a class or an instance; returns the instance.

        Its name is made from its class unless it has one. ``options`` are set on it. Another
        task of that name is replaced, with a warning, as in Celery.
        """
        instance = task() if isinstance(task, type) else task
        cls = type(instance)
        if not instance.name:
            instance.name = gen_task_name(cls.__name__, cls.__module__)
        for name, value in checked_options(instance.name, options).items():
            setattr(instance, name, value)
        check_declared(instance.name, instance)
        existing = registry.get(instance.name)
        if existing is not None and existing is not instance:
            registry.note_duplicate(
                instance.name,
                kept=instance,
                dropped=existing,
                consequence="The new one replaces the other: calls under this name reach it.",
            )
        registry.register(instance)
        adopt(instance)
        return instance

    def send_task(
        self,
        name: str,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Result[Any]:
        """Enqueue a call by the task's name, which this process need not know.

        Takes the options of :meth:`Task.apply_async`; those of a known task are defaults. The
        arguments are not checked against its signature. ``TASK_ALWAYS_EAGER`` does not apply.
        """
        if (unknown := unknown_name(options)) is not None:
            raise unknown_call_option(f"send_task({name!r})", unknown)
        if not name or "\x00" in name:
            raise ValueError(f"send_task() needs the name of a task, not {name!r}.")
        args = () if args is None else args
        kwargs = {} if kwargs is None else kwargs
        calling.check_arguments(name, args, kwargs)
        if conf.TASK_ALWAYS_EAGER:
            warnings.warn(
                AlwaysEagerIgnored("TASK_ALWAYS_EAGER has no effect on send_task()."), stacklevel=2
            )
        return calling.send(name, registry.get(name), args, kwargs, options)

    def add_periodic_task(
        self,
        schedule: Any,
        sig: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        name: str | None = None,
        **opts: Any,
    ) -> str:
        """Have a task sent by a schedule, as if it were in ``BEAT_SCHEDULE``; returns its name.

        To be called while Django loads its apps, in a module of tasks or by a receiver of
        :attr:`on_after_finalize`: workers look when they start. ``schedule`` is a number of
        seconds, a timedelta, or one of :mod:`djtasks.schedules`; ``sig`` a task or a signature.
        ``opts`` are options of its calls. Another one of that name is replaced, with a warning.

        Raises :class:`ScheduleError` that says what is wrong.
        """
        by_itself, entry = entries.entry_from_signature(schedule, sig, args, kwargs or {}, opts)
        key = name or by_itself
        if not entries.add(key, entry):
            warnings.warn(
                DjtasksWarning(
                    f"The schedule {key!r} was added before; this one replaces it. Give each a "
                    "name=."
                ),
                stacklevel=2,
            )
        return key

    def signature(self, *args: Any, **kwargs: Any) -> Sig[Any]:
        """A call to be made later: :func:`djtasks.signature`."""
        return signature(*args, **kwargs)

    def gen_task_name(self, name: str, module: str) -> str:
        """The name of a task that is given none."""
        return gen_task_name(name, module)

    def autodiscover_tasks(
        self,
        packages: Iterable[str] | Callable[[], Iterable[str]] | None = None,
        related_name: str | None = "tasks",
        force: bool = False,
    ) -> None:
        """Import the module ``tasks`` of every installed app, and the setting ``IMPORTS``.

        Called when Django has loaded its apps. ``packages`` are others to look in,
        ``related_name`` is another name of the module, or None for the package itself. A
        package without it is passed over; what goes wrong inside such a module propagates.
        """
        del force  # There is nothing to wait for: Django's apps are loaded.
        if packages is None:
            packages = [config.name for config in apps.get_app_configs()]
            modules: tuple[str, ...] = tuple(conf.IMPORTS)
        else:
            packages = packages() if callable(packages) else packages
            modules = ()
        for package in packages:
            if related_name is None:
                importlib.import_module(package)
            elif find_spec(f"{package}.{related_name}") is not None:
                importlib.import_module(f"{package}.{related_name}")
        for module in modules:
            importlib.import_module(module)
        adopt_awaiting()

    def __repr__(self) -> str:
        return f"<djtasks app with {len(registry)} tasks>"


app = App()
"""The one app of this process."""
