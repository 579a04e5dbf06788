"""Tasks side by side, and one that gets all their results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from djtasks.canvas.checking import keywords
from djtasks.canvas.composite import (
    Composite,
    as_signature,
    copy_of,
    first_result,
    on_each,
    shortened,
)
from djtasks.canvas.group import gathered, group, stamp_each
from djtasks.canvas.lazy import is_taken
from djtasks.canvas.parts import body_of
from djtasks.canvas.signature import Signature
from djtasks.conf import conf

if TYPE_CHECKING:
    from typing import Self

    from djtasks.canvas.stamping import StampingVisitor


@Signature.register_type()
class chord(Composite):
    """Tasks side by side, and a body that gets the list of their results in order.

    ``chord(header, body)`` and ``chord(header)(body)``, which enqueues it; ``group(...) | body``
    is one too. The header is what a :class:`group` is made of. The result is that of the body,
    whose ``parent`` is the :class:`GroupResult` of the header. The body runs once, after every
    task of the header has succeeded; if the header is empty it gets an empty list. Options are
    for the tasks of the header and for the body; but ``countdown`` and ``eta`` only for the
    header, ``task_id`` and links only for the body.
    """

    NAME = "djtasks.chord"
    KIND = "chord"
    PARTS = "header"

    def __init__(
        self,
        header: Any,
        body: Any = None,
        task: str | None = None,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        app: object = None,
        **options: Any,
    ) -> None:
        parts = self._rebuilt({"kwargs": {}, **(kwargs or {}), "header": header, "body": body})
        super().__init__(self.NAME, args, parts, subtask_type=self.KIND, **options)

    @classmethod
    def _rebuilt(cls, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        header, body = kwargs.get("header"), kwargs.get("body")
        return {
            **kwargs,
            "kwargs": dict(kwargs.get("kwargs") or {}),
            "header": _header(header),
            "body": None if body is None else as_signature(body, "The body of a chord"),
        }

    @property
    def tasks(self) -> list[Signature[Any]]:
        """The tasks of its header, in order; a generator is read as a whole."""
        header = self.kwargs["header"]
        if isinstance(header, group):
            return header.tasks
        self.settle()
        return self.kwargs["header"]  # type: ignore[no-any-return]

    @tasks.setter
    def tasks(self, tasks: Any) -> None:
        self.kwargs["header"] = _header(tasks)

    @property
    def header(self) -> group:
        """Its header as a group of the same signatures."""
        header = self.kwargs["header"]
        if isinstance(header, group):
            return header
        found = group()
        found.kwargs["tasks"] = header
        return found

    @property
    def body(self) -> Signature[Any] | None:
        """What gets the results."""
        return self.kwargs["body"]  # type: ignore[no-any-return]

    @body.setter
    def body(self, body: Any) -> None:
        self.kwargs["body"] = None if body is None else as_signature(body, "The body of a chord")

    # Calling

    def __call__(self, body: Any = None, **options: Any) -> Any:
        """Enqueue it, with another body if one is given."""
        return self.apply_async((), {} if body is None else {"body": body}, **options)

    def apply_async(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Enqueue it. The tasks of the header get the arguments before their own.

        A keyword argument ``body`` is another body. Raises :class:`TypeError` without one.
        """
        sig, kwargs = self._with_body(kwargs)
        return super(chord, sig).apply_async(args, kwargs, **options)

    def apply(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        propagate: bool | None = None,
        body: Any = None,
        **options: Any,
    ) -> Any:
        """Run the header and then the body here; parameters are those of :meth:`apply_async`.

        ``body`` is another body. ``propagate`` says whether a failure is raised, as ``throw``.
        """
        if propagate is not None:
            options.setdefault("throw", propagate)
        sig, kwargs = self._with_body(kwargs, body)
        return super(chord, sig).apply(args, kwargs, **options)

    def _with_body(
        self, kwargs: Mapping[str, Any] | None, body: Any = None
    ) -> tuple[Self, dict[str, Any]]:
        kwargs = keywords(kwargs)
        body = kwargs.pop("body", body)
        if body is None:
            body_of(self)
            return self, kwargs
        return self._made({**self.kwargs, "body": body}, self._sections()), kwargs

    # Changing

    def set_immutable(self, immutable: bool) -> None:
        """Make the tasks of the header ignore arguments that are given later; not the body."""
        self.header.set_immutable(immutable)

    def link(self, callback: Any) -> Any:
        """Link ``callback`` to the body; returns it."""
        body_of(self).link(callback)
        return callback

    def link_error(self, errback: Any) -> Any:
        """Link ``errback`` to the body, which fails when a task of the header does.

        With ``TASK_ALLOW_ERROR_CB_ON_CHORD_HEADER`` it is linked to the tasks of the header too.
        Chords in the header link it to themselves in any case. Returns the errback.
        """
        linked = as_signature(errback, "An errback")
        to_all = conf.TASK_ALLOW_ERROR_CB_ON_CHORD_HEADER

        def change(index: int, member: Signature[Any]) -> Signature[Any]:
            if to_all or isinstance(member, chord):
                member.link_error(linked.clone())
            return member

        on_each(self.header.kwargs["tasks"], change)
        body_of(self).link_error(linked)
        return linked

    def freeze(
        self,
        _id: str | None = None,
        group_id: str | None = None,
        chord: Any = None,
        root_id: str | None = None,
        parent_id: str | None = None,
        group_index: int | None = None,
    ) -> Any:
        """Give all its tasks ids and return the body's result; ``_id`` is the body's.

        Without a body the ids are given and None is returned.
        """
        root_id = self._placed("root_id", root_id)
        parent_id = self._placed("parent_id", parent_id)
        header = self.header
        results = header.freeze(root_id=root_id, parent_id=parent_id)
        self.kwargs["header"] = header
        if self.body is None:
            return None
        body = self.body.clone()
        result: Any = body.freeze(
            self.options.get("task_id") or _id,
            group_id=group_id,
            chord=chord,
            root_id=root_id,
            group_index=group_index,
        )
        first_result(result).parent = results
        self.kwargs["body"] = body
        self.options["task_id"] = result.id
        return result

    def stamp(
        self, visitor: StampingVisitor | None = None, append_stamps: bool = False, **headers: Any
    ) -> Self:
        """Stamp the tasks of its header, and its body; see :meth:`Signature.stamp`."""
        found = visitor.on_chord_header_start(self, **headers) if visitor else None
        stamps = self._stamps(found, append_stamps, headers)
        self.stamp_links(visitor, append_stamps, **stamps)
        stamp_each(self.header.kwargs["tasks"], visitor, append_stamps, stamps)
        if visitor:
            visitor.on_chord_header_end(self, **stamps)
        if self.body is not None:
            found = visitor.on_chord_body(self, **stamps) if visitor else None
            self.body.stamp(visitor, append_stamps, **self._stamps(found, append_stamps, stamps))
        return self

    def _copied(self) -> dict[str, Any]:
        kwargs = self.kwargs
        header, body = kwargs["header"], kwargs["body"]
        header = header.clone() if isinstance(header, group) else copy_of(header)
        return {**kwargs, "header": header, "body": None if body is None else body.clone()}

    def _begin_with(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if "body" in kwargs:
            self.body = kwargs.pop("body")
        self.header._begin_with(args, kwargs)

    # As a value

    def __length_hint__(self) -> int:
        """How many ends of tasks its body waits for; a generator is read as a whole."""
        return sum(ends_of(task) for task in self.tasks)

    def __repr__(self) -> str:
        if is_taken(self.header):
            return f"%({self.header!r} | {self.body!r})"
        tasks, body = self.tasks, self.body
        if body is None:
            return f"<chord without body: {tasks!r}>"
        if body.subtask_type == "chain" and body.kwargs["tasks"]:
            first, *rest = body.kwargs["tasks"]
            text = " | ".join((first.reprcall(tasks), *(repr(step) for step in rest)))
            return shortened(first.task, f"%({text})" if rest else f"%{text}")
        if isinstance(body, Composite):
            return f"%({group(tasks)!r} | {body!r})"
        return "%" + shortened(body.task, body.reprcall(tasks))


def ends_of(sig: Signature[Any]) -> int:
    """How many results a signature, as a task of a header, adds to what the body waits for."""
    if isinstance(sig, group):
        return sum(ends_of(member) for member in sig.tasks)
    if isinstance(sig, chord):
        return 0 if sig.body is None else ends_of(sig.body)
    if sig.subtask_type == "chain":
        counts = (ends_of(step) for step in reversed(sig.kwargs["tasks"]))
        return next((number for number in counts if number), 0)
    return 1


def _header(header: Any) -> Any:
    """The header as it is kept: signatures, or a group if that has options of its own."""
    where = "The header of a chord"
    if isinstance(header, Mapping) and header.get("subtask_type") == "group":
        header = as_signature(header, where)
        if header.options:
            own = group()
            own.kwargs["tasks"] = gathered(header.kwargs["tasks"], where)
            own.options = dict(header.options)
            return own
    return gathered(header, where)
