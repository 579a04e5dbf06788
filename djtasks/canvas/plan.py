"""The plan of a signature: the rows that it becomes.

One pure function, :func:`plan`, without a database, a clock or settings. A task becomes a
:class:`Step`. What waits for others waits ``after`` a join, an id at which results come together:
the join of a chain's step has one result, that of a chord's header as many as the header has ends,
in their order, and a row of its own that counts them (:class:`Gathering`). ``chord(header, body)``
is planned as ``chain(group(header), body)`` is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from djtasks.canvas.parts import body_of, ends_in_group, is_empty, members, starts_in_group
from djtasks.canvas.signature import Signature, as_list, signature
from djtasks.ids import to_uuid
from djtasks.result import AsyncResult
from djtasks.result_set import GroupResult

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from uuid import UUID

    Rows = Generator["Step | Gathering", None, Any]
    MakeHandle = Callable[["Step"], AsyncResult[Any]]

TO_ALL = frozenset({"root_id", "parent_id"})
"""Options that say where the whole belongs and are given to no task."""

OF_THE_WHOLE = ("root_id", "parent_id", "enqueue", "add_to_parent")
"""Options of what is called that are meant for all of its rows."""

TO_HEADER = frozenset({"countdown", "eta"})
"""Options of a chord that are meant for its header alone; all others are its body's too."""


OF_POLLING = frozenset({"interval", "max_retries"})
"""Options of a chord that tune how Celery polls: nothing does here."""


@dataclass(slots=True)
class Step:
    """One task of a plan: a call, what it waits for, and where its end is counted.

    ``args``, ``kwargs`` and ``options`` are those of the call. ``after`` is the join that it waits
    for; its result is prepended to the arguments unless ``immutable``. ``feeds`` is the join that
    its own result goes to, at ``position``, which is None where it is the only one.
    """

    task: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    options: dict[str, Any]
    immutable: bool
    id: UUID
    custom_id: str | None
    root_id: UUID
    parent_id: UUID | None
    after: UUID | None
    feeds: UUID | None
    position: int | None


@dataclass(slots=True)
class Gathering:
    """A join that counts: ``size`` results, in order of their positions, become one list.

    ``is_group`` says that a group waits for it, whose members fail with the original exception;
    ``after`` is the join that everything which feeds it waits for, if there is one.
    """

    id: UUID
    root_id: UUID
    size: int
    is_group: bool
    after: UUID | None = None


@dataclass(slots=True)
class Sink:
    """Where the ends of a part of the plan go: to a join, alone or among others.

    ``after`` is the join that the group waits for whose members they are.
    """

    join: UUID
    many: bool
    count: int = 0
    position: int | None = None
    after: UUID | None = None

    def place(self) -> int | None:
        """The position of the next end."""
        self.count += 1
        return self.count - 1 if self.many else self.position


@dataclass(slots=True, frozen=True)
class Head:
    """What the first tasks of a part are given beyond their signatures.

    ``sealed`` keeps the result of what they wait for out of their arguments.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    sealed: bool = False


@dataclass(slots=True, frozen=True)
class Tail:
    """What the last task of a part is given: its id, its place in a group, its callbacks."""

    task_id: str | None = None
    group_id: str | None = None
    group_index: int | None = None
    link: tuple[Any, ...] = ()


@dataclass(slots=True, frozen=True)
class Place:
    """Where a part stands: the join that it waits for, where its ends go, and its errbacks.

    ``is_whole`` says that it is what was called, and no part of anything.
    """

    after: UUID | None = None
    sink: Sink | None = None
    errbacks: tuple[Any, ...] = ()
    parent: Any = None
    is_whole: bool = False


def plan(
    sig: Signature[Any],
    args: Iterable[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    new_id: Callable[[], UUID],
    root_id: UUID | None = None,
    parent_id: UUID | None = None,
    sink: Sink | None = None,
    errbacks_in_headers: bool = False,
    handle: MakeHandle | None = None,
) -> Rows:
    """Yield the rows of a call of ``sig``, each join after everything that feeds it.

    The generator's value is the handle of the whole: that of the last task, with those before it
    as its parents, or a :class:`GroupResult`; None where there is no task at all. ``args``,
    ``kwargs`` and ``options`` are those of ``apply_async``. Members of groups are taken one by
    one, so that a generator of signatures is never in memory as a whole.

    ``new_id`` makes ids where the signatures have none. ``root_id`` and ``parent_id`` place the
    call in a task's tree; ``sink`` is where its end goes, for a call that replaces another.
    ``errbacks_in_headers`` is ``TASK_ALLOW_ERROR_CB_ON_CHORD_HEADER``. ``handle`` makes the handle
    of a step.
    """
    planner = _Planner(new_id, root_id, parent_id, errbacks_in_headers, handle or handle_of)
    head = Head(tuple(args), dict(kwargs or {}), dict(options or {}))
    return planner.part(sig, head, Tail(), Place(sink=sink, is_whole=True))


def handle_of(step: Step) -> AsyncResult[Any]:
    """The handle of a step's result."""
    ignored = bool(step.options.get("ignore_result"))
    return AsyncResult.of(step.id, step.custom_id, step.task, ignored)


class _Planner:
    """Goes through a signature once; knows the root and the task before."""

    def __init__(
        self,
        new_id: Callable[[], UUID],
        root_id: UUID | None,
        parent_id: UUID | None,
        errbacks_in_headers: bool,
        handle: MakeHandle,
    ) -> None:
        self._new_id = new_id
        self._root_id = root_id
        self._parent_id = self._last_id = parent_id
        self._errbacks_in_headers = errbacks_in_headers
        self._handle = handle

    def part(self, sig: Signature[Any], head: Head, tail: Tail, place: Place) -> Rows:
        kind = sig.subtask_type
        if kind == "chain":
            return self._chain(sig, head, tail, place)
        if kind == "group":
            return self._group(sig, head, tail, place)
        if kind == "chord":
            return self._chord(sig, head, tail, place)
        return self._task(sig, head, tail, place)

    def _id(self, given: str | None) -> tuple[UUID, str | None]:
        return to_uuid(given) if given is not None else (self._new_id(), None)

    def _task(self, sig: Signature[Any], head: Head, tail: Tail, place: Place) -> Rows:
        args, kwargs, options = sig._merge(head.args, head.kwargs, head.options)
        options = {
            name: value
            for name, value in options.items()
            if value is not None and name not in TO_ALL and name != "chord"
        }
        if tail.group_id is not None:
            options.setdefault("group_id", tail.group_id)
            options.setdefault("group_index", tail.group_index)
        for name, more in (("link", tail.link), ("link_error", place.errbacks)):
            if more:
                options[name] = _united(options.get(name), more)
        id, custom_id = self._id(tail.task_id or options.get("task_id"))
        options.pop("task_id", None)
        sink = place.sink
        root_id = self._root_id = self._root_id or id
        self._last_id = id
        step = Step(
            task=sig.task,
            args=tuple(args),
            kwargs=dict(kwargs),
            options=options,
            immutable=head.sealed or bool(sig.immutable),
            id=id,
            custom_id=custom_id,
            root_id=root_id,
            parent_id=self._parent_id,
            after=place.after,
            feeds=None if sink is None else sink.join,
            position=None if sink is None else sink.place(),
        )
        result = self._handle(step)
        result.parent = place.parent
        yield step
        return result

    def _chain(self, sig: Signature[Any], head: Head, tail: Tail, place: Place) -> Rows:
        options = _options_of(sig, head, place)
        tail = _tail_of(options, tail)
        errbacks = (*place.errbacks, *as_list(options.pop("link_error", None)))
        head = _head_of(sig, head, options)
        steps = members(sig)
        steps = [step for step in steps if not is_empty(step)] or steps[:1]
        parent, after = place.parent, place.after
        before = self._parent_id
        for number, step in enumerate(steps):
            is_last = number == len(steps) - 1
            sink = place.sink
            if not is_last:
                sink = Sink(self._new_id(), ends_in_group(step))
            found = yield from self.part(
                step,
                head if number == 0 else Head(),
                tail if is_last else Tail(),
                Place(after, sink, errbacks, parent, place.is_whole and len(steps) == 1),
            )
            if is_last:
                return found
            if sink is None or not sink.count:
                # A generator without members: what comes next waits for what came before.
                continue
            if sink.many:
                yield self._gathering(sink, starts_in_group(steps[number + 1]))
            parent, after = found, sink.join
            self._parent_id = self._last_id
        self._parent_id = before
        return parent

    def _gathering(self, sink: Sink, is_group: bool) -> Gathering:
        assert self._root_id is not None, "something feeds it"
        return Gathering(sink.join, self._root_id, sink.count, is_group, sink.after)

    def _group(self, sig: Any, head: Head, tail: Tail, place: Place) -> Rows:
        options = _options_of(sig, head, place)
        tail = _tail_of(options, tail)
        errbacks = (*place.errbacks, *as_list(options.pop("link_error", None)))
        key, custom_id = self._id(tail.task_id)
        group_id = custom_id or str(key)
        head = _head_of(sig, head, options)
        # Members of a chord's header have their group and index by the join that they feed, unless
        # the group has another id, or a member before them has another number of ends than one.
        counted = place.sink if place.sink is not None and place.sink.many else None
        links = [signature(link).set(immutable=True) for link in tail.link]
        parent_id, handles = self._parent_id, []
        for index, member in enumerate(sig.stream()):
            self._parent_id = parent_id
            is_told = (
                counted is not None and counted.count == index and str(counted.join) == group_id
            )
            found = yield from self.part(
                member,
                head,
                Tail(
                    group_id=None if is_told else group_id,
                    group_index=None if is_told else index,
                    # Celery's meaning: a group's callback is its first member's.
                    link=tuple(links) if index == 0 else (),
                ),
                replace(place, errbacks=errbacks, parent=None, is_whole=False),
            )
            if found is not None:
                handles.append(found)
        if counted:
            counted.after = place.after
        self._parent_id = parent_id
        only = handles[0] if len(handles) == 1 and place.is_whole else None
        if isinstance(only, GroupResult):
            # Celery's special case: a group of one chain that ends in a group is the latter.
            return only
        return GroupResult(group_id, handles, parent=place.parent)

    def _chord(self, sig: Any, head: Head, tail: Tail, place: Place) -> Rows:
        options = _options_of(sig, head, place)
        tail = _tail_of(options, tail)
        own = tuple(as_list(options.pop("link_error", None)))
        errbacks = (*place.errbacks, *own)
        for name in OF_POLLING:
            options.pop(name, None)
        of_body = {name: value for name, value in options.items() if name not in TO_HEADER}
        header, body = sig.header, body_of(sig)
        key, custom_id = self._id(header.options.get("task_id"))
        sink = Sink(key, many=True)
        before = self._parent_id
        results = yield from self.part(
            header,
            _head_of(sig, head, options),
            Tail(task_id=custom_id or str(key)),
            Place(place.after, sink, errbacks if self._errbacks_in_headers else (), place.parent),
        )
        if sink.count:
            yield self._gathering(sink, starts_in_group(body))
            self._parent_id = self._last_id
            found = yield from self.part(
                body, Head((), {}, of_body), tail, Place(key, place.sink, errbacks, results)
            )
        else:
            # An empty header: the body has an empty list at once, whatever came before.
            place = Place(place.after, place.sink, errbacks, results)
            found = yield from self.part(body, Head(([],), {}, of_body, True), tail, place)
        self._parent_id = before
        return found


def _options_of(sig: Signature[Any], head: Head, place: Place) -> dict[str, Any]:
    """The options of a chain, group or chord, as a new dict, without those of the whole call."""
    options = {**sig.options, **head.options}
    if place.is_whole:
        for name in OF_THE_WHOLE:
            options.pop(name, None)
    return options


def _tail_of(options: dict[str, Any], tail: Tail) -> Tail:
    """Take what is the last task's out of the options of a whole."""
    for name in TO_ALL | {"chord"}:
        options.pop(name, None)
    task_id = options.pop("task_id", None)
    return Tail(
        task_id=tail.task_id or task_id,
        group_id=tail.group_id or options.pop("group_id", None),
        group_index=tail.group_index
        if tail.group_index is not None
        else options.pop("group_index", None),
        link=(*as_list(options.pop("link", None)), *tail.link),
    )


def _head_of(sig: Signature[Any], head: Head, options: Mapping[str, Any]) -> Head:
    """What a whole hands on to its first tasks: its own arguments behind later ones."""
    own = tuple(sig.args)
    kwargs = {**sig.kwargs["kwargs"], **head.kwargs} if "kwargs" in sig.kwargs else head.kwargs
    args = own if sig.immutable else (*head.args, *own)
    return Head(args, kwargs, options, head.sealed or bool(sig.immutable))


def _united(links: Any, more: Sequence[Any]) -> list[Any]:
    found = as_list(links)
    for link in more:
        if link not in found:
            found.append(link)
    return found
