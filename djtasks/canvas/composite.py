"""What chain, group and chord have in common: signatures that are made of signatures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar

from djtasks.canvas.checking import arguments, keywords, parts_of
from djtasks.canvas.lazy import Lazy, WithLazyItems
from djtasks.canvas.signature import Signature

if TYPE_CHECKING:
    from typing import Self


class Composite(WithLazyItems, Signature[Any]):
    """A signature of several tasks. It is sent by :mod:`djtasks.canvas.send`, as rows."""

    NAME: ClassVar[str]
    """What stands in the place of a task's name."""
    KIND: ClassVar[str]
    """Its ``subtask_type``."""
    PARTS: ClassVar[str] = "tasks"
    """The keyword argument with the signatures that it is made of."""

    @classmethod
    def from_dict(cls, d: Mapping[str, Any], app: object = None) -> Self:
        """Rebuild it, and the signatures in it, from the dict that it became."""
        return cls._made(parts_of(d, cls.KIND, cls.PARTS), d)

    @classmethod
    def _made(cls, kwargs: Mapping[str, Any], sections: Mapping[str, Any]) -> Self:
        """One with these keyword arguments, and the other sections of a signature's dict."""
        self = cls.__new__(cls)
        Signature.__init__(
            self,
            cls.NAME,
            sections.get("args"),
            cls._rebuilt(kwargs),
            sections.get("options"),
            subtask_type=cls.KIND,
            immutable=bool(sections.get("immutable")),
        )
        return self

    @classmethod
    def _rebuilt(cls, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments in which every part is a signature."""
        raise NotImplementedError

    def _sections(self) -> dict[str, Any]:
        """What its dict has besides keyword arguments, name and kind."""
        return {"args": self.args, "options": self.options, "immutable": self.immutable}

    # Calling

    def apply_async(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Enqueue all its tasks, and return the result of the whole.

        Those that begin get the arguments before their own. Options that are None are dropped.
        """
        from djtasks.canvas.send import send

        return send(self, arguments(args), keywords(kwargs), _given(options))

    def apply(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Run all its tasks here, and return the result of the whole."""
        from djtasks.canvas.eager import apply

        return apply(self, arguments(args), keywords(kwargs), _given(options))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """:meth:`apply_async` with star arguments. Unlike that of a task it enqueues."""
        return self.apply_async(args, kwargs)

    # Copying

    def clone(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """A copy, also of the signatures in it; those that begin get the arguments.

        Options are merged into its own; those of the signatures in it are unchanged.
        """
        _, _, merged = Signature._merge(self, options=options)
        copy = self._made(self._copied(), {**self._sections(), "options": deepcopy(merged)})
        if (args or kwargs) and not self.immutable:
            copy._begin_with(arguments(args), keywords(kwargs))
        return copy

    partial = clone

    def _placed(self, name: str, given: str | None) -> str | None:
        """Root or parent as it is set already, or else as given, which stays."""
        value = self.options.get(name) or given
        if value is not None:
            self.options[name] = value
        return value

    def _copied(self) -> dict[str, Any]:
        """A copy of the keyword arguments and of the signatures in them."""
        raise NotImplementedError

    def _begin_with(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Give arguments to those of its tasks that begin."""
        raise NotImplementedError

    def reprcall(self, *args: Any, **kwargs: Any) -> str:
        """The workflow as source text, with these arguments for those that begin."""
        return repr(self.clone(args, kwargs)) if args or kwargs else repr(self)


def as_signature(item: Any, where: str) -> Signature[Any]:
    """A part of a composite: a signature, or a dict that was one.

    Raises :class:`TypeError` for anything else.
    """
    if isinstance(item, Signature):
        return item
    if isinstance(item, Mapping) and "task" in item:
        return Signature.from_dict(item)
    hint = " Write task.s(...)." if hasattr(item, "apply_async") else ""
    raise TypeError(f"{where} is made of signatures, not of {item!r}.{hint}")


def copy_of(signatures: Any) -> Any:
    """Copies of signatures: a list of clones, or another view of those that are lazy."""
    if isinstance(signatures, Lazy):
        return signatures.view()
    return [item.clone() for item in signatures]


def on_each(signatures: Any, change: Any) -> None:
    """Replace each signature by ``change(index, signature)``, lazy ones when they are taken."""
    if isinstance(signatures, Lazy):
        signatures.change(change)
    else:
        signatures[:] = [change(index, item) for index, item in enumerate(signatures)]


def first_result(result: Any) -> Any:
    """The first of the results that lead to this one by their parents."""
    while result.parent is not None:
        result = result.parent
    return result


def shortened(name: str, text: str) -> str:
    """Source text in which the module of the task ``name`` stands only once, as in Celery."""
    module = name.rpartition(".")[0] + "."
    head, found, tail = text.partition(module)
    return head + found + tail.replace(module, "")


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
