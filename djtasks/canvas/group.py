"""Tasks side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from djtasks.canvas.composite import Composite, as_signature, copy_of, on_each, shortened
from djtasks.canvas.lazy import Lazy, is_taken
from djtasks.canvas.links import as_list
from djtasks.canvas.signature import Signature
from djtasks.ids import new_id

if TYPE_CHECKING:
    from typing import Self

    from djtasks.canvas.stamping import StampingVisitor

OWN_OPTIONS = frozenset({"task_id", "group_id", "group_index", "root_id", "parent_id", "chord"})
"""Options of a group that are none of its members."""


@Signature.register_type()
class group(Composite):
    """Tasks that run side by side: ``group(a, b)``, ``group([a, b])``, or with a generator.

    Groups in it are replaced by their members. A generator is not read before something needs
    it: enqueueing the group takes the signatures one by one, and never holds all of them.
    Calling it enqueues it, and returns a :class:`GroupResult`. Options are for every member.
    """

    NAME = "djtasks.group"
    KIND = "group"

    def __init__(self, *tasks: Any, **options: Any) -> None:
        items = tasks[0] if len(tasks) == 1 else tasks
        members = gathered(items, "A group")
        super().__init__(self.NAME, (), {"tasks": members}, subtask_type=self.KIND, **options)

    @classmethod
    def _rebuilt(cls, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        return {"tasks": gathered(kwargs["tasks"], "A group")}

    @property
    def tasks(self) -> list[Signature[Any]]:
        """Its members, in order; a generator is read as a whole."""
        self.settle()
        return self.kwargs["tasks"]  # type: ignore[no-any-return]

    @tasks.setter
    def tasks(self, tasks: Iterable[Any]) -> None:
        self.kwargs["tasks"] = gathered(tasks, "A group")

    def stream(self) -> Iterator[Signature[Any]]:
        """Its members one by one; those of a generator are not kept, so this works once.

        Raises :class:`RuntimeError` if the generator was read this way before.
        """
        tasks = self.kwargs["tasks"]
        return tasks.stream() if isinstance(tasks, Lazy) else iter(tasks)

    def size_up_to(self, limit: int) -> int:
        """How many members it has, but at most ``limit``: a generator is read no further."""
        tasks = self.kwargs["tasks"]
        if isinstance(tasks, Lazy):
            return tasks.count_up_to(limit)
        return min(len(tasks), limit)

    def __call__(self, *partial_args: Any, **options: Any) -> Any:
        """Enqueue it, with arguments before those of each member, and options."""
        return self.apply_async(partial_args, **options)

    def apply_async(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Enqueue its members; the result is a :class:`GroupResult`.

        ``task_id`` is the id of the group. Raises :class:`TypeError` for ``link`` and
        ``link_error``, which are options of its members or of a chord.
        """
        if options.get("link") is not None:
            raise TypeError("Cannot add link to group: use a chord")
        if options.get("link_error") is not None:
            raise TypeError("Cannot add link to group: do that on individual tasks")
        return super().apply_async(args, kwargs, **options)

    def skew(self, start: float = 1.0, stop: float | None = None, step: float = 1.0) -> Self:
        """Let its members begin one after the other; returns the group itself.

        The first begins after ``start`` seconds and each further one ``step`` seconds later, but
        none after ``stop`` seconds: the rest begins with the last of these.
        """

        def delay(index: int, member: Signature[Any]) -> Signature[Any]:
            time = start + index * step
            if stop is not None and time > stop and step > 0:
                last = max(int((stop - start) / step), 0)
                time = start + last * step
            return member.set(countdown=time)

        on_each(self.kwargs["tasks"], delay)
        return self

    def set_immutable(self, immutable: bool) -> None:
        """Make its members ignore arguments that are given later, or not."""

        def change(index: int, member: Signature[Any]) -> Signature[Any]:
            member.set_immutable(immutable)
            return member

        on_each(self.kwargs["tasks"], change)

    def link(self, callback: Any) -> Any:
        """Link an immutable copy of ``callback`` to the first member, as Celery does.

        It does not wait for the other members: what does is a :class:`chord`. Returns the copy.
        """
        linked = as_signature(callback, "A link").clone().set(immutable=True)

        def change(index: int, member: Signature[Any]) -> Signature[Any]:
            if index == 0:
                member.link(linked)
            return member

        if not self.size_up_to(1):
            raise TypeError("Cannot add link to a group without members.")
        on_each(self.kwargs["tasks"], change)
        return linked

    def link_error(self, errback: Any) -> tuple[Any, ...]:
        """Link a copy of ``errback`` to each member.

        Returns the copies; for a generator, whose members get theirs later, nothing.
        """
        linked = as_signature(errback, "An errback")
        members = self.kwargs["tasks"]
        if isinstance(members, Lazy):

            def change(index: int, member: Signature[Any]) -> Signature[Any]:
                member.link_error(linked.clone())
                return member

            members.change(change)
            return ()
        return tuple(member.link_error(linked.clone()) for member in members)

    def freeze(
        self,
        _id: str | None = None,
        group_id: str | None = None,
        chord: Any = None,
        root_id: str | None = None,
        parent_id: str | None = None,
        group_index: int | None = None,
    ) -> Any:
        """Give it and its members ids, and return its :class:`GroupResult`.

        ``_id`` is the id of the group. A generator is read as a whole.
        """
        from djtasks.result_set import GroupResult

        options = self.options
        own_id = options.get("task_id") or _id or str(new_id())
        options["task_id"] = own_id
        root_id = self._placed("root_id", root_id)
        parent_id = self._placed("parent_id", parent_id)
        given = {"group_id": group_id, "group_index": group_index}
        options.update({name: value for name, value in given.items() if value is not None})
        results = []
        members = [member.clone() for member in self.tasks]
        for index, member in enumerate(members):
            result = member.freeze(
                group_id=own_id,
                chord=chord,
                root_id=root_id,
                parent_id=parent_id,
                group_index=index,
            )
            if result is not None:
                # A chain of nothing has no result.
                results.append(result)
        self.kwargs["tasks"] = members
        return GroupResult(own_id, results)

    def stamp(
        self, visitor: StampingVisitor | None = None, append_stamps: bool = False, **headers: Any
    ) -> Self:
        """Stamp each of its members; see :meth:`Signature.stamp`."""
        found = visitor.on_group_start(self, **headers) if visitor else None
        stamps = self._stamps(found, append_stamps, headers)
        self.stamp_links(visitor, append_stamps, **stamps)
        stamp_each(self.kwargs["tasks"], visitor, append_stamps, stamps)
        if visitor:
            visitor.on_group_end(self, **stamps)
        return self

    def _copied(self) -> dict[str, Any]:
        return {"tasks": copy_of(self.kwargs["tasks"])}

    def _begin_with(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        on_each(self.kwargs["tasks"], lambda index, member: member.clone(args, kwargs))

    def __len__(self) -> int:
        return len(self.tasks)

    def __bool__(self) -> bool:
        return self.size_up_to(1) > 0

    def __repr__(self) -> str:
        if is_taken(self):
            return f"group({self.kwargs['tasks']!r})"
        if not self.tasks:
            return "group(<empty>)"
        return shortened(self.tasks[0].task, f"group({self.tasks!r})")


def gathered(items: Any, where: str) -> Any:
    """The members of a group: a list of signatures, or :class:`Lazy` if they are generated."""
    if isinstance(items, Lazy):
        return items
    if isinstance(items, group):
        if passed_on(items):
            return _collected([items], where)
        members = items.kwargs["tasks"]
        return members.view() if isinstance(members, Lazy) else list(members)
    if isinstance(items, Signature):
        return [items.clone()]
    if isinstance(items, Mapping):
        items = [items]
    if isinstance(items, Iterator):
        return Lazy(_flat(items, where), copy=_clone)
    if not isinstance(items, Iterable) or isinstance(items, (str, bytes)):
        as_signature(items, where)
    return _collected([as_signature(item, where) for item in items], where)


def stamp_each(
    members: Any, visitor: StampingVisitor | None, append: bool, stamps: Mapping[str, Any]
) -> None:
    """Stamp the members of a group, those of a generator when they are taken."""

    def change(index: int, member: Signature[Any]) -> Signature[Any]:
        member.stamp(visitor, append, **stamps)
        return member

    on_each(members, change)


def _collected(items: list[Signature[Any]], where: str) -> Any:
    members = _flat(items, where)
    if any(isinstance(x, group) and isinstance(x.kwargs["tasks"], Lazy) for x in items):
        return Lazy(members, copy=_clone)
    return list(members)


def _flat(items: Iterable[Any], where: str) -> Iterator[Signature[Any]]:
    """Signatures, with the members of groups in the place of those; empty chains are left out."""
    for item in items:
        sig = as_signature(item, where)
        if isinstance(sig, group):
            options = passed_on(sig)
            for member in sig.stream():
                yield with_options(member, options) if options else member
        elif sig.subtask_type != "chain" or sig.kwargs["tasks"]:
            yield sig


def passed_on(sig: group) -> dict[str, Any]:
    """Those options of a group that are its members' too."""
    return {name: value for name, value in sig.options.items() if name not in OWN_OPTIONS}


def with_options(member: Signature[Any], options: Mapping[str, Any]) -> Signature[Any]:
    """A copy of the member of a group with the options of the group."""
    links = {"link", "link_error"}
    found = member.clone(**{k: v for k, v in options.items() if k not in links})
    for errback in as_list(options.get("link_error")):
        found.link_error(errback)
    return found


def _clone(sig: Signature[Any]) -> Signature[Any]:
    return sig.clone()
