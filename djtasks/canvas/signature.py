"""A signature: a task, arguments and options of a call that is made later.

It is a dict that JSON can carry, with Celery's keys and rules of merging: arguments that are
given later come *before* those of the signature, keyword arguments and options that are given
later win. An immutable signature ignores later arguments, but not later options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

from djtasks.canvas import checking
from djtasks.canvas.links import Linked, as_list
from djtasks.canvas.stamping import Stamped
from djtasks.codec import decode_call
from djtasks.exceptions import NotRegistered
from djtasks.ids import new_id
from djtasks.registry import registry

if TYPE_CHECKING:
    from typing import Self

    from djtasks.eager import EagerResult
    from djtasks.result import AsyncResult
    from djtasks.task import Task

__all__ = [
    "Signature",
    "as_list",
    "maybe_signature",
    "maybe_subtask",
    "signature",
    "subtask",
]

R = TypeVar("R")
S = TypeVar("S", bound="Signature[Any]")


def _item(key: str) -> Any:
    """An attribute that reads and writes one key of the dict."""
    return property(
        lambda self: self[key],
        lambda self, value: self.__setitem__(key, value),
        doc=f"The item ``{key}``.",
    )


def _option(name: str) -> Any:
    """An attribute that reads and writes one option, which is None until it is set or frozen."""
    return property(
        lambda self: self["options"].get(name),
        lambda self, value: self["options"].__setitem__(name, value),
        doc=f"The option ``{name}``; None until it is set or frozen.",
    )


class Signature(Linked, Stamped, dict[str, Any], Generic[R]):
    """One call of a task, made later; see :func:`signature`.

    Parameters are those of Celery's class: ``task`` is a task, its name, or a dict that was a
    signature; further keywords are options of the call.
    """

    TYPES: ClassVar[dict[str, type[Signature[Any]]]] = {}
    _KEPT_OPTIONS: ClassVar[frozenset[str]] = frozenset({"group_id", "stamped_headers"})
    """Options that a later merge does not change: others rely on them already."""

    _type: Task[..., Any] | None = None

    task: str = _item("task")
    args: tuple[Any, ...] = _item("args")
    kwargs: dict[str, Any] = _item("kwargs")
    options: dict[str, Any] = _item("options")
    subtask_type: str | None = _item("subtask_type")
    immutable: bool = _item("immutable")

    def __init__(
        self,
        task: Task[..., R] | str | Mapping[str, Any],
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        type: Task[..., R] | None = None,
        subtask_type: str | None = None,
        immutable: bool = False,
        app: object = None,
        **more_options: Any,
    ) -> None:
        if isinstance(task, Mapping):
            checking.check_dict(task, self.TYPES)
            super().__init__(task)
            self["args"] = checking.arguments(self.get("args"))
            self["kwargs"] = checking.keywords(self.get("kwargs"))
            self["options"] = dict(self.get("options") or {})
            self.setdefault("subtask_type", None)
            self.setdefault("immutable", False)
            return
        name = checking.name_of(task)
        if not isinstance(task, str):
            self._type = task
        if type is not None:
            self._type = type
        super().__init__(
            task=name,
            args=checking.arguments(args),
            kwargs=checking.keywords(kwargs),
            options={**(options or {}), **more_options},
            subtask_type=subtask_type,
            immutable=immutable,
        )

    @classmethod
    def register_type(cls, name: str | None = None) -> Callable[[type[S]], type[S]]:
        """Class decorator: a new kind of signature, rebuilt by :meth:`from_dict`."""

        def add(subclass: type[S]) -> type[S]:
            Signature.TYPES[name or subclass.__name__] = subclass
            return subclass

        return add

    @classmethod
    def from_dict(cls, d: Mapping[str, Any], app: object = None) -> Signature[Any]:
        """Rebuild the signature that became this dict, of the class that it was."""
        checking.check_dict(d, Signature.TYPES)
        if "payload" in d:
            # As a message carries it: arguments with types that JSON does not have.
            args, arguments = decode_call(d["payload"])
            d = {**d, "args": tuple(args), "kwargs": arguments}
            del d["payload"]
        kind = d.get("subtask_type")
        if kind:
            target = Signature.TYPES[kind]
            if target is not cls:
                return target.from_dict(d, app=app)
        return Signature(d)

    # What it stands for

    @property
    def name(self) -> str:
        """The name of the task."""
        return self.task

    id: str | None = _option("task_id")
    parent_id: str | None = _option("parent_id")
    root_id: str | None = _option("root_id")

    @property
    def type(self) -> Task[..., R]:
        """The task; :class:`NotRegistered` if this process does not know it."""
        return self._type or registry[self.task]

    @property
    def app(self) -> Any:
        """The app object, :data:`djtasks.app`."""
        from djtasks.app import app

        return app

    # Calling

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        """Run the task here and now, as a direct call; its exceptions propagate."""
        args, kwargs, _ = self._merge(args, kwargs)
        return self.type(*args, **kwargs)

    def delay(self, *args: Any, **kwargs: Any) -> AsyncResult[R]:
        """:meth:`apply_async` with star arguments."""
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AsyncResult[R]:
        """Enqueue the call, with these arguments and options merged in; None options are dropped.

        A task that this process does not know is enqueued by its name.
        """
        options = {name: value for name, value in options.items() if value is not None}
        args, kwargs, options = self._merge(args, kwargs, options)
        task = self._known_task()
        if task is None:
            return self.app.send_task(self.task, args, kwargs, **options)  # type: ignore[no-any-return]
        return task.apply_async(args, kwargs, **options)

    def apply(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> EagerResult[R]:
        """Run the call here, as :meth:`Task.apply` does, with arguments and options merged in."""
        options = {name: value for name, value in options.items() if value is not None}
        args, kwargs, options = self._merge(args, kwargs, options)
        return self.type.apply(args, kwargs, **options)

    def __invert__(self) -> R:
        """``~sig``: enqueue it, wait, and return the result."""
        return self.apply_async().get()

    # Changing and copying

    def _merge(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        force: bool = False,
    ) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]:
        """Arguments and options of this signature with later ones merged in.

        ``force`` merges arguments even if the signature is immutable.
        """
        merged = self.options
        if options:
            kept = self._KEPT_OPTIONS.union(merged.get("stamped_headers") or ())
            later = {k: v for k, v in options.items() if k not in kept or k not in merged}
            merged = {**merged, **later}
        given, named = checking.arguments(args), checking.keywords(kwargs)
        if self.immutable and not force:
            return tuple(self.args), self.kwargs, merged
        return (*given, *self.args), {**self.kwargs, **named} if named else self.kwargs, merged

    def clone(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """A copy with these arguments and options merged in; options are copied deeply."""
        args, kwargs, options = self._merge(args, kwargs, options)
        options = deepcopy(options) if options else {}
        copy: Any = Signature.from_dict(
            {**self, "args": args, "kwargs": kwargs, "options": options}
        )
        copy._type = self._type
        return copy  # type: ignore[no-any-return]

    partial = clone

    def replace(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Self:
        """A copy whose arguments, keyword arguments or options are these instead."""
        copy = self.clone()
        if args is not None:
            copy.args = tuple(args)
        if kwargs is not None:
            copy.kwargs = dict(kwargs)
        if options is not None:
            copy.options = dict(options)
        return copy

    def set(self, immutable: bool | None = None, **options: Any) -> Self:
        """Set options in place; returns the signature itself."""
        if immutable is not None:
            self.set_immutable(immutable)
        self.options.update(options)
        return self

    def set_immutable(self, immutable: bool) -> None:
        """Make it ignore arguments that are given later, or not."""
        self.immutable = immutable

    def freeze(
        self,
        _id: str | None = None,
        group_id: str | None = None,
        chord: Any = None,
        root_id: str | None = None,
        parent_id: str | None = None,
        group_index: int | None = None,
    ) -> AsyncResult[R]:
        """Give it its task id now, and return the result that the call will have.

        An id that it has already is kept. Enqueue a frozen signature once: a second message with
        the same id is refused while the first is queued or running.
        """
        options = self.options
        task_id = options.get("task_id")
        if task_id is None:
            task_id = options["task_id"] = _id or str(new_id())
        if root_id:
            options["root_id"] = root_id
        if parent_id:
            options["parent_id"] = parent_id
        if group_id and "group_id" not in options:
            options["group_id"] = group_id
        if chord:
            options["chord"] = chord
        if group_index is not None:
            options["group_index"] = group_index
        return self.AsyncResult(task_id)

    @property
    def AsyncResult(self) -> Callable[..., AsyncResult[R]]:
        """What makes a result of this task from an id."""
        task = self._known_task()
        return self.app.AsyncResult if task is None else task.AsyncResult

    # As a value

    def __json__(self) -> dict[str, Any]:
        """The dict that JSON gets."""
        return dict(self)

    def reprcall(self, *args: Any, **kwargs: Any) -> str:
        """The call as source text, with these arguments merged in: ``proj.add(2, 2)``."""
        args, kwargs, _ = self._merge(args, kwargs, force=True)
        shown = [repr(value) for value in args]
        shown += [f"{name}={value!r}" for name, value in kwargs.items()]
        return f"{self.task}({', '.join(shown)})"

    __repr__ = reprcall

    def __or__(self, other: object) -> Any:
        """``a | b``: first this, then ``b`` with its result; see :mod:`djtasks.canvas.operators`.

        Neither of the two is changed.
        """
        from djtasks.canvas.operators import combined

        return combined(self, other)

    __ior__ = __or__

    def __ror__(self, other: object) -> Any:
        """Only signatures can stand before a signature: dicts cannot, as they would be merged."""
        if isinstance(other, dict):
            raise TypeError(f"unsupported operand type for |: a dict before {self!r}.")
        return NotImplemented

    def __deepcopy__(self, memo: dict[int, Any]) -> Signature[Any]:
        """A clone: options are copied deeply, arguments may be anything and are shared."""
        copy = self.clone()
        memo[id(self)] = copy
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as a dict: the task is looked up where it is read."""
        return signature, (dict(self),)

    def _known_task(self) -> Task[..., R] | None:
        try:
            return self.type
        except NotRegistered:
            return None


@overload
def signature(varies: Task[..., R], *args: Any, **kwargs: Any) -> Signature[R]: ...
@overload
def signature(varies: Signature[R], *args: Any, **kwargs: Any) -> Signature[R]: ...
@overload
def signature(varies: str | Mapping[str, Any], *args: Any, **kwargs: Any) -> Signature[Any]: ...
def signature(varies: Any, *args: Any, **kwargs: Any) -> Signature[Any]:
    """Make a signature from a task or its name: ``signature("proj.add", args=(2, 2))``.

    A signature is cloned, a dict that was one is rebuilt; further parameters are those of
    :class:`Signature`.
    """
    if isinstance(varies, Signature):
        return varies.clone()
    if isinstance(varies, Mapping):
        return Signature.from_dict(varies)
    return Signature(varies, *args, **kwargs)


subtask = signature


def maybe_signature(
    d: Mapping[str, Any] | None, app: object = None, clone: bool = False
) -> Signature[Any] | None:
    """The signature that ``d`` is or was, or None for None; a clone if asked."""
    if d is None or (isinstance(d, Signature) and not clone):
        return d
    return signature(d)


maybe_subtask = maybe_signature
