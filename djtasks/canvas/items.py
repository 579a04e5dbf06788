"""One task for many items: map, starmap, and chunks of those."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from djtasks.canvas.checking import parts_of
from djtasks.canvas.composite import as_signature
from djtasks.canvas.group import group
from djtasks.canvas.lazy import Lazy, WithLazyItems
from djtasks.canvas.signature import Signature
from djtasks.conf import conf
from djtasks.registry import registry
from djtasks.routing import route

if TYPE_CHECKING:
    from typing import Self

SHOWN = 100
"""Characters of the items that a repr has."""


class _Items(WithLazyItems, Signature[Any]):
    """A signature of one of the built-in tasks that take a task and its items.

    Those of a subclass take options of the call as keywords, and, as every signature does, further
    ones as a mapping ``options``.
    """

    NAME: ClassVar[str]

    def __init__(self, kwargs: dict[str, Any], options: dict[str, Any]) -> None:
        kind = type(self).__name__
        options.setdefault("immutable", True)
        super().__init__(self.NAME, (), kwargs, subtask_type=kind, **options)

    @classmethod
    def from_dict(cls, d: Mapping[str, Any], app: object = None) -> Self:
        """Rebuild it from the dict that it became."""
        kwargs = parts_of(d, cls.__name__, "it")
        return cls(**kwargs, options=dict(d.get("options") or {}))

    def clone(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """A copy with options merged in. Arguments are ignored: the items are the arguments."""
        merged = Signature._merge(self, options=options)[2]
        kwargs = dict(self.kwargs)
        kwargs["task"] = kwargs["task"].clone()
        if isinstance(kwargs["it"], Lazy):
            kwargs["it"] = kwargs["it"].view()
        copy = self.from_dict({"kwargs": kwargs, "options": deepcopy(merged)})
        copy._type = self._type
        return copy

    partial = clone


class _Map(_Items):
    """``task`` is called with one item after the other, in one run of a built-in task."""

    CALL: ClassVar[str]
    """How the repr shows one call."""

    def __init__(self, task: Any, it: Iterable[Any], **options: Any) -> None:
        task = as_signature(task, f"{type(self).__name__}()")
        super().__init__({"task": task, "it": _kept(it)}, options)

    def _merge(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        force: bool = False,
    ) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]:
        """What is sent: plain lists, to the queue and with the priority of the mapped task."""
        _, _, merged = super()._merge(options=options)
        self.settle()
        task = self.kwargs["task"]
        plain = {**task, "args": list(task.args)}
        items = [list(item) if type(item) is tuple else item for item in self.kwargs["it"]]
        return (), {"task": plain, "it": items}, {**_route_of(task, merged), **merged}

    def __repr__(self) -> str:
        shown = repr(self.kwargs["it"])
        if len(shown) > SHOWN:
            shown = shown[:SHOWN].rsplit(" ", 1)[0] + "..."
        return f"[{self.kwargs['task'].task}({self.CALL}) for x in {shown}]"

    def reprcall(self, *args: Any, **kwargs: Any) -> str:
        """The calls as source text."""
        return repr(self)


@Signature.register_type()
class xmap(_Map):
    """``[task(x) for x in it]`` in one task: ``task.map(it)``."""

    NAME = "djtasks.map"
    CALL = "x"


@Signature.register_type()
class xstarmap(_Map):
    """``[task(*x) for x in it]`` in one task: ``task.starmap(it)``."""

    NAME = "djtasks.starmap"
    CALL = "*x"


@Signature.register_type()
class chunks(_Items):
    """Many calls in tasks of ``n`` calls each: ``task.chunks(it, n)``.

    ``it`` has the arguments of each call, as tuples or lists. Calling it enqueues a group of
    :class:`xstarmap`, and returns its :class:`GroupResult`: the result of each is a list.
    """

    NAME = "djtasks.chunks"

    def __init__(self, task: Any, it: Iterable[Any], n: int, **options: Any) -> None:
        if type(n) is not int or n < 1:
            raise ValueError(f"chunks() needs a whole number of items above 0, not {n!r}.")
        task = as_signature(task, "chunks()")
        super().__init__({"task": task, "it": _kept(it), "n": n}, options)

    def __call__(self, **options: Any) -> Any:
        """Enqueue the group."""
        return self.apply_async(**options)

    def apply_async(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Enqueue the group, with options for each of its tasks."""
        return self.group().apply_async(args, kwargs, **options)

    def apply(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Run the group here."""
        return self.group().apply(args, kwargs, **options)

    def group(self) -> group:
        """The group that it is. Items of a generator are taken when their task is."""
        task, items, n = (self.kwargs[name] for name in ("task", "it", "n"))
        stream = items.stream() if isinstance(items, Lazy) else iter(items)
        parts = (xstarmap(task.clone(), part) for part in _parts(stream, n))
        return group(parts, options=self.options)

    @classmethod
    def apply_chunks(cls, task: Any, it: Iterable[Any], n: int, app: object = None) -> Any:
        """Enqueue the calls and return the result of the group."""
        return cls(task, it, n)()


def _kept(it: Iterable[Any]) -> Any:
    if isinstance(it, (list, Lazy)):
        return it
    return Lazy(it) if isinstance(it, Iterator) else list(it)


def _parts(items: Iterator[Any], n: int) -> Iterator[list[Any]]:
    while part := list(islice(items, n)):
        yield part


def _route_of(sig: Signature[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Queue and priority of the mapped task, where there are any."""
    task = registry.get(sig.task)
    found: dict[str, Any] = {}
    if task is not None:
        found = {"queue": task.queue, "priority": task.priority}
    if conf.TASK_ROUTES:
        answer = route(sig.task, sig.args, sig.kwargs, options, task)
        for name in ("queue", "priority"):
            if found.get(name) is None:
                found[name] = answer.get(name)
    return {name: value for name, value in found.items() if value is not None}
