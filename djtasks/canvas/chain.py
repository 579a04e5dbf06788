"""Tasks one after the other, each with the result of the one before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from djtasks.canvas.composite import Composite, as_signature, copy_of, first_result, shortened
from djtasks.canvas.links import as_list
from djtasks.canvas.signature import Signature, signature

if TYPE_CHECKING:
    from typing import Self

    from djtasks.canvas.stamping import StampingVisitor

OF_LAST = ("task_id", "group_id", "group_index")
"""Options of a chain that are meant for its last task."""
OF_ALL = ("root_id", "parent_id")
"""Options of a chain that say where all of it belongs."""


@Signature.register_type()
class chain(Composite):
    """Tasks one after the other: each gets the result of the one before as its first argument.

    ``chain(a, b, c)`` and ``chain([a, b, c])`` are ``a | b | c``, and may be a :class:`chord` or
    what else that is. Calling it enqueues it, and returns the result of the last task, whose
    ``parent`` is that of the one before. Links of the chain are links of its last task; its
    errbacks are errbacks of all its tasks; other options are those of its first task.
    """

    NAME = "djtasks.chain"
    KIND = "chain"

    _folded: list[Signature[Any]] | None = None
    """The steps, on their way from ``__new__``, which must fold them to know whether it is a chain
    that they are, to ``__init__``, which Python calls with what was given once more."""

    def __new__(cls, *tasks: Any, **options: Any) -> Self:
        """The chain, or what a single group or chord without options is."""
        from djtasks.canvas.operators import folded

        if not tasks:
            return super().__new__(cls)
        alone = len(tasks) == 1 and isinstance(tasks[0], Mapping)
        items = [as_signature(item, "A chain") for item in _items(tasks)]
        found = [items[0].clone()] if alone else folded(items)
        if isinstance(found, chain):
            found = found.tasks
        elif not isinstance(found, list):
            if not options:
                return cast("Self", found)
            found = [found]
        self = super().__new__(cls)
        self._folded = found
        return self

    def __init__(self, *tasks: Any, **options: Any) -> None:
        steps, self._folded = self._folded or [], None
        super().__init__(self.NAME, (), {"tasks": steps}, subtask_type=self.KIND, **options)

    @classmethod
    def _rebuilt(cls, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        return {"tasks": [as_signature(item, "A chain") for item in kwargs["tasks"]]}

    @property
    def tasks(self) -> list[Signature[Any]]:
        """Its steps, in order."""
        return self.kwargs["tasks"]  # type: ignore[no-any-return]

    @tasks.setter
    def tasks(self, tasks: Iterable[Signature[Any]]) -> None:
        self.kwargs["tasks"] = list(tasks)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Enqueue it; an empty chain is nothing, and gives None."""
        return self.apply_async(args, kwargs) if self.tasks else None

    def unchain_tasks(self) -> list[Signature[Any]]:
        """Copies of its steps, with what the options of the chain mean for each of them."""
        steps = [step.clone() for step in self.tasks]
        if not steps:
            return steps
        options = dict(self.options)
        for link in as_list(options.pop("link", None)):
            steps[-1].link(signature(link))
        for errback in as_list(options.pop("link_error", None)):
            for step in steps:
                step.link_error(signature(errback))
        for names, chosen in ((OF_LAST, steps[-1:]), (OF_ALL, steps)):
            for name in names:
                value = options.pop(name, None)
                if value is not None:
                    for step in chosen:
                        step.options.setdefault(name, value)
        if options:
            steps[0] = steps[0].clone(**options)
        return steps

    def freeze(
        self,
        _id: str | None = None,
        group_id: str | None = None,
        chord: Any = None,
        root_id: str | None = None,
        parent_id: str | None = None,
        group_index: int | None = None,
    ) -> Any:
        """Give each of its tasks an id, and return the last one's result; None if it is empty.

        ``_id`` and the place in a group are the last task's.
        """
        from djtasks.canvas.operators import folded

        found = folded(self.tasks)
        steps = found if isinstance(found, list) else [found]
        root_id = self._placed("root_id", root_id)
        parent_id = self._placed("parent_id", parent_id)
        result: Any = None
        for index, step in enumerate(steps):
            before = result
            parent = parent_id if index == 0 else None
            if index < len(steps) - 1:
                result = step.freeze(root_id=root_id, parent_id=parent)
            else:
                result = step.freeze(
                    self.options.get("task_id") or _id,
                    group_id=group_id,
                    chord=chord,
                    root_id=root_id,
                    parent_id=parent,
                    group_index=group_index,
                )
                self.options["task_id"] = result.id
            first_result(result).parent = before
        self.tasks = steps
        return result

    def stamp(
        self, visitor: StampingVisitor | None = None, append_stamps: bool = False, **headers: Any
    ) -> Self:
        """Stamp each of its steps; see :meth:`Signature.stamp`."""
        found = visitor.on_chain_start(self, **headers) if visitor else None
        stamps = self._stamps(found, append_stamps, headers)
        self.stamp_links(visitor, append_stamps, **stamps)
        for step in self.tasks:
            step.stamp(visitor, append_stamps, **stamps)
        if visitor:
            visitor.on_chain_end(self, **stamps)
        return self

    def _copied(self) -> dict[str, Any]:
        return {"tasks": copy_of(self.tasks)}

    def _begin_with(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.tasks:
            self.tasks[0] = self.tasks[0].clone(args, kwargs)

    def __repr__(self) -> str:
        if not self.tasks:
            return f"<chain@{id(self):#x}: empty>"
        return shortened(self.tasks[0].task, " | ".join(repr(step) for step in self.tasks))


def _items(tasks: tuple[Any, ...]) -> Iterable[Any]:
    """What a chain is made of: several signatures, or an iterable of them."""
    if len(tasks) == 1 and not isinstance(tasks[0], Mapping) and isinstance(tasks[0], Iterable):
        return tasks[0]
    return tasks
