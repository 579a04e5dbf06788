"""Enqueueing a canvas: its plan as rows, all of them or none."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

from djtasks import calling
from djtasks.canvas.plan import Step, plan
from djtasks.conf import conf
from djtasks.execution.request import current_frame
from djtasks.ids import new_id, to_uuid
from djtasks.options import CALL_OPTIONS, unknown_call_option
from djtasks.queue.enqueue import enqueue
from djtasks.queue.message import NewJoin, NewMessage
from djtasks.registry import registry
from djtasks.result import AsyncResult
from djtasks.signals import after_task_publish, before_task_publish
from djtasks.when import seconds_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from uuid import UUID

    from djtasks.canvas.plan import Gathering, Sink
    from djtasks.canvas.signature import Signature
    from djtasks.queue.message import Row

BATCH = 1000
"""Rows in one round trip."""

OF_THE_WHOLE = ("root_id", "parent_id", "enqueue", "add_to_parent")
"""Options of a call that are meant for all of its rows."""


def send(
    sig: Signature[Any],
    args: Iterable[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """Enqueue a chain, group or chord; returns the handle of its end, or None without tasks.

    All rows are written in one transaction, a thousand in a round trip, and members of groups are
    taken from their iterators as they are written. Raises what a single call raises, and then
    nothing is enqueued.
    """
    given = {name: value for name, value in (options or {}).items() if value is not None}
    whole = {name: given.pop(name) for name in OF_THE_WHOLE if name in given}
    if conf.TASK_ALWAYS_EAGER:
        from djtasks.canvas.eager import apply_instead

        return apply_instead(sig, args or (), kwargs or {}, given)
    mode = calling.mode_of(calling.Defaults(sig.task, None), whole)
    outcome = Planned(sig, args or (), kwargs or {}, given, whole)
    alias = conf.DATABASE
    rows = outcome.rows()
    first = list(islice(rows, BATCH))
    if len(first) < BATCH:
        enqueue(first, mode=mode)
    elif mode == "transaction" and _may_begin(alias):
        # What a generator raises after a thousand rows takes those back too.
        with transaction.atomic(using=alias):
            while first:
                enqueue(first, mode=mode)
                first = list(islice(rows, BATCH))
    else:
        first += rows
        enqueue(first, mode=mode)
    handle = outcome.handle
    first = handle
    while first is not None and first.parent is not None:
        first = first.parent
    if first is not None:
        # What follows is found from there, as the children of each step.
        calling.add_to_trail(first, whole)
    outcome.announce_sent()
    return handle


def _may_begin(alias: str) -> bool:
    """Whether a transaction may be opened for the rows alone, or one is open there already."""
    others = (c for c in connections.all(initialized_only=True) if c.alias != alias)
    return connections[alias].in_atomic_block or not any(c.in_atomic_block for c in others)


class Planned:
    """The rows of a call of a canvas, made one by one; :attr:`handle` is there after the last."""

    def __init__(
        self,
        sig: Signature[Any],
        args: Iterable[Any],
        kwargs: Mapping[str, Any],
        options: Mapping[str, Any],
        whole: Mapping[str, Any],
        *,
        sink: Sink | None = None,
    ) -> None:
        root_id, parent_id = _place(whole)
        self.handle: Any = None
        self._known: dict[str, calling.Defaults] = {}
        self._is_kept_back = False
        self._sent: list[tuple[NewMessage, Step]] = []
        self._steps = plan(
            sig,
            args,
            kwargs,
            options,
            new_id=new_id,
            root_id=root_id,
            parent_id=parent_id,
            sink=sink,
            errbacks_in_headers=conf.TASK_ALLOW_ERROR_CB_ON_CHORD_HEADER,
            handle=_handle_of,
        )

    def rows(self) -> Iterator[Row]:
        """The messages and joins, in an order in which they may be written."""
        for step in self._remembering_handle():
            if isinstance(step, Step):
                message = self.message_of(step)
                if message is None:
                    self._is_kept_back = True
                else:
                    yield message
            elif not self._is_kept_back:
                yield NewJoin(step.id, step.root_id, step.size, step.is_group, step.after)

    def _remembering_handle(self) -> Generator[Step | Gathering, None, None]:
        self.handle = yield from self._steps

    def message_of(self, step: Step) -> NewMessage | None:
        """The message of a step; None if a recorder keeps it from the queue."""
        task = registry.get(step.task)
        options = step.options
        if not CALL_OPTIONS.issuperset(options):
            stamped = options.get("stamped_headers") or ()
            unknown = [o for o in options if o not in CALL_OPTIONS and o not in stamped]
            if unknown:
                raise unknown_call_option(f"A signature of {step.task}", unknown[0])
        defaults = self._known.get(step.task)
        if defaults is None or options:
            defaults = calling.Defaults(step.task, task, step.args, step.kwargs, options)
            if not options:
                self._known[step.task] = defaults
        args: Any = step.args
        kwargs: Any = step.kwargs
        calling.check_arguments(step.task, args, kwargs)
        if step.after is None or step.immutable:
            # Others have arguments still to come.
            if defaults.check is not None:
                defaults.check(*args, **kwargs)
            if task is not None and task._dump_pydantic_arguments is not None:
                args, kwargs = task._dump_pydantic_arguments(args, kwargs)
        later: dict[str, float] = {}
        if step.after is not None:
            options, later = _relative(step.task, options, defaults.expires)
        message = calling.build(defaults, args, kwargs, options)
        message.id, message.custom_id = step.id, step.custom_id
        message.root_id, message.parent_id = step.root_id, step.parent_id
        message.after, message.feeds, message.position = step.after, step.feeds, step.position
        message.immutable = step.after is not None and step.immutable
        message.countdown, message.lifetime = later.get("countdown"), later.get("expires")
        if before_task_publish.receivers:
            calling.announce(message, args, kwargs, options)
        handle = calling.handle_of(message, defaults, options)
        if not calling.goes_to_queue(step.task, args, kwargs, options, handle):
            return None
        if after_task_publish.receivers:
            self._sent.append((message, step))
        return message

    def announce_sent(self) -> None:
        """Send ``after_task_publish`` for every message."""
        for message, step in self._sent:
            after_task_publish.emit(
                step.task, **calling.envelope(message, step.args, step.kwargs, step.options)
            )


def _handle_of(step: Step) -> AsyncResult[Any]:
    """The handle of a step: nobody waits for a result that its task does not store."""
    ignored = step.options.get("ignore_result")
    if ignored is None:
        task = registry.get(step.task)
        ignored = task is not None and task.ignore_result
    return AsyncResult.of(step.id, step.custom_id, step.task, bool(ignored))


def _relative(
    name: str, options: Mapping[str, Any], default_expires: Any
) -> tuple[dict[str, Any], dict[str, float]]:
    """Take times out of options that count from the moment at which a waiting step is ready."""
    left = dict(options)
    later: dict[str, float] = {}
    countdown = left.pop("countdown", None)
    if countdown is not None:
        later["countdown"] = seconds_of(name, "countdown", countdown)
    expires = left.get("expires", default_expires)
    if expires is not None and not isinstance(expires, (datetime, str)):
        later["expires"] = seconds_of(name, "expires", expires)
        # Explicitly none, for the task's own would be counted from now.
        left["expires"] = None
    return left, later


def _place(whole: Mapping[str, Any]) -> tuple[UUID | None, UUID | None]:
    """Root and parent of a call: as given, or those of the task that makes it."""
    root_id, parent_id = whole.get("root_id"), whole.get("parent_id")
    if root_id is None and parent_id is None:
        parent = calling.running_request(current_frame())
        if parent is not None and parent.id:
            parent_id, root_id = parent.id, parent.root_id or parent.id
    return (
        None if root_id is None else to_uuid(root_id)[0],
        None if parent_id is None else to_uuid(parent_id)[0],
    )
