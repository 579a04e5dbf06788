"""Enqueueing a canvas: its plan as rows, all of them or none."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connections, transaction

from djtasks import calling
from djtasks.canvas.composite import first_result
from djtasks.canvas.plan import OF_THE_WHOLE, Step, plan
from djtasks.conf import conf
from djtasks.execution.request import current_frame
from djtasks.ids import new_id, to_uuid
from djtasks.options import CALL_OPTIONS, UNIQUE_OPTIONS, unknown_call_option
from djtasks.queue.enqueue import enqueue
from djtasks.queue.message import NewJoin, NewMessage
from djtasks.registry import registry
from djtasks.result import AsyncResult
from djtasks.signals import after_task_publish, before_task_publish
from djtasks.unique_keys import refuse_unique
from djtasks.when import seconds_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from uuid import UUID

    from djtasks.canvas.plan import Gathering, MakeHandle, Sink
    from djtasks.canvas.signature import Signature
    from djtasks.queue.message import Row

BATCH = 1000
"""Rows in one round trip."""


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
    given, whole = divided(sig, options or {})
    mode = calling.mode_of(calling.Defaults(sig.task, None), whole)
    if conf.TASK_ALWAYS_EAGER:
        from djtasks.canvas.eager import apply_instead

        return apply_instead(sig, args or (), kwargs or {}, given, whole)
    outcome = Planned(sig, args or (), kwargs or {}, given, {**whole, "enqueue": mode})
    alias = conf.DATABASE
    rows = outcome.rows()
    batch = list(islice(rows, BATCH))
    if len(batch) < BATCH:
        enqueue(batch, mode=mode)
    elif mode == "transaction" and _may_begin(alias):
        # What a generator raises after a thousand rows takes those back too.
        with transaction.atomic(using=alias):
            while batch:
                enqueue(batch, mode=mode)
                batch = list(islice(rows, BATCH))
    else:
        batch += rows
        enqueue(batch, mode=mode)
    handle = outcome.handle
    if handle is not None:
        # What follows is found from there, as the children of each step.
        calling.add_to_trail(first_result(handle), whole)
    outcome.announce_sent()
    return handle


def divided(
    sig: Signature[Any], options: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of a call of ``sig``, and those of the call or the signature for all of its rows."""
    given = {name: value for name, value in options.items() if value is not None}
    merged = {**sig.options, **given}
    whole = {name: merged[name] for name in OF_THE_WHOLE if merged.get(name) is not None}
    return {name: value for name, value in given.items() if name not in OF_THE_WHOLE}, whole


def _may_begin(alias: str) -> bool:
    """Whether a transaction may be opened for the rows alone, or one is open there already."""
    others = (c for c in connections.all(initialized_only=True) if c.alias != alias)
    return connections[alias].in_atomic_block or not any(c.in_atomic_block for c in others)


class Checked(NamedTuple):
    """A step whose call has been checked: its message, and what that was made of."""

    message: NewMessage
    defaults: calling.Defaults
    args: Any
    kwargs: Any
    options: Mapping[str, Any]


class Planned:
    """The rows of a call of a canvas, made one by one; :attr:`handle` is there after the last.

    ``whole`` has those options of the call that are for all of its rows, its mode among them if
    it matters. ``make_handle`` makes the handle of a step.
    """

    def __init__(
        self,
        sig: Signature[Any],
        args: Iterable[Any],
        kwargs: Mapping[str, Any],
        options: Mapping[str, Any],
        whole: Mapping[str, Any],
        *,
        sink: Sink | None = None,
        make_handle: MakeHandle | None = None,
    ) -> None:
        root_id, parent_id = _place(whole)
        self.handle: Any = None
        self._mode = whole.get("enqueue")
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
            handle=make_handle or _handle_of,
        )

    def rows(self) -> Iterator[Row]:
        """The messages and joins, in an order in which they may be written."""
        for step in self.steps():
            if isinstance(step, Step):
                message = self.message_of(step)
                if message is None:
                    self._is_kept_back = True
                else:
                    yield message
            elif not self._is_kept_back:
                yield NewJoin(step.id, step.root_id, step.size, step.is_group, step.after)

    def steps(self) -> Generator[Step | Gathering, None, None]:
        """The plan, in an order in which it may be written."""
        self.handle = yield from self._steps

    def message_of(self, step: Step) -> NewMessage | None:
        """The message of a step; None if a recorder keeps it from the queue."""
        message, defaults, args, kwargs, options = self.checked(step)
        if before_task_publish.receivers:
            calling.announce(message, args, kwargs, options)
        handle = calling.handle_of(message, defaults, options)
        if not calling.goes_to_queue(step.task, args, kwargs, options, handle):
            return None
        if after_task_publish.receivers:
            self._sent.append((message, step))
        return message

    def checked(self, step: Step) -> Checked:
        """The message of a step, of which nobody has been told. Raises what a call raises."""
        task = registry.get(step.task)
        options = step.options
        if not CALL_OPTIONS.issuperset(options):
            stamped = options.get("stamped_headers") or ()
            unknown = [o for o in options if o not in CALL_OPTIONS and o not in stamped]
            if unknown:
                raise unknown_call_option(f"A signature of {step.task}", unknown[0])
        mode = options.get("enqueue")
        if mode is not None and mode != self._mode and self._mode is not None:
            raise ValueError(
                f"A signature of {step.task}: enqueue={mode!r} cannot be had by a part of a "
                f"workflow, whose rows are all written together. Say it of the whole: "
                f".apply_async(enqueue={mode!r})."
            )
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
        if defaults.unique or not UNIQUE_OPTIONS.isdisjoint(options):
            refuse_unique(step.task, task, options)
        complete = step.after is None or step.immutable
        message = calling.build(defaults, args, kwargs, options, complete=complete)
        message.id, message.custom_id = step.id, step.custom_id
        message.root_id, message.parent_id = step.root_id, step.parent_id
        message.after, message.feeds, message.position = step.after, step.feeds, step.position
        message.immutable = step.after is not None and step.immutable
        message.countdown, message.lifetime = later.get("countdown"), later.get("expires")
        return Checked(message, defaults, args, kwargs, options)

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
    """Root and parent of a call: as given, else those of the task that makes it."""
    root_id, parent_id = whole.get("root_id"), whole.get("parent_id")
    running = calling.running_request(current_frame())
    if running is not None and running.id:
        if "root_id" not in whole:
            root_id = running.root_id or running.id
        if "parent_id" not in whole:
            parent_id = running.id
    return (
        None if root_id is None else to_uuid(root_id)[0],
        None if parent_id is None else to_uuid(parent_id)[0],
    )
