"""What a running task does to the workflow that it is in: another in its place, one more beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connections, transaction

from djtasks.canvas.links import as_list
from djtasks.canvas.parts import ends_in_group, is_empty
from djtasks.canvas.plan import Sink
from djtasks.canvas.send import Planned
from djtasks.canvas.signature import Signature, signature
from djtasks.conf import conf
from djtasks.exceptions import ImproperlyConfigured, Replaced
from djtasks.execution.request import uuid_text
from djtasks.queue.enqueue import enqueue
from djtasks.queue.message import NewMessage
from djtasks.queue.sql import load

if TYPE_CHECKING:
    from djtasks.execution.request import Context
    from djtasks.queue.delivery import Delivery

WIDEN_JOIN = load("widen_join")


def replace(request: Context, sig: Signature[Any]) -> Any:
    """Let ``sig`` take the running task's place: its id, its links and what waits for it.

    ``sig`` is what :func:`replacing` has made. Raises :class:`Replaced`, which ends the run; in a
    task that runs eagerly, it runs ``sig`` and returns its value. Raises
    :class:`ImproperlyConfigured` for what has no task at its end.
    """
    delivery = request.delivery
    if request.is_eager or delivery is None:
        place = {name: getattr(request, name) for name in ("root_id", "parent_id")}
        result: Any = sig.apply(task_id=request.id, **place)
        return result.get(disable_sync_subtasks=False)
    sink = None
    if delivery.feeds is not None:
        sink = Sink(UUID(bytes=delivery.feeds), many=False, position=delivery.position)
    options: dict[str, Any] = {"task_id": request.id}
    if request.group is not None and (request.group, request.group_index) != _told(delivery):
        options.update(group_id=request.group, group_index=request.group_index)
    nesting = (request.replaced_task_nesting or 0) + 1
    planned = Planned(
        sig,
        (),
        {},
        options,
        {"root_id": request.root_id, "parent_id": request.parent_id},
        sink=sink,
    )
    rows = list(planned.rows())
    messages = [row for row in rows if isinstance(row, NewMessage)]
    for message in messages:
        message.options = {**(message.options or {}), "replaced_task_nesting": nesting}
    own = UUID(bytes=delivery.id)
    for message in messages:
        if message.id == own:
            request.update(replacement=(message, [row for row in rows if row is not message]))
            raise Replaced("Replaced by new task")
    raise ImproperlyConfigured("Cannot replace a task with what has no task at its end.")


def _told(delivery: Delivery) -> tuple[str | None, int | None]:
    """Group and index of a member of a chord's header, if they are only told by its place."""
    if delivery.position is None or delivery.feeds is None:
        return None, None
    return uuid_text(delivery.feeds), delivery.position


def replacing(request: Context, sig: Any) -> Signature[Any]:
    """A copy of a signature that may stand in the place of the running task, with its links.

    Raises :class:`ImproperlyConfigured` for what cannot take a place.
    """
    copy = as_one(sig)
    if not request.is_eager:
        # An eager run goes on to its end, and calls them itself.
        for callback in as_list(request.callbacks):
            copy.link(signature(callback))
        for errback in as_list(request.errbacks):
            copy.link_error(signature(errback))
    return copy


def as_one(sig: Any) -> Signature[Any]:
    """A copy of a signature whose result is that of one task.

    Raises :class:`ImproperlyConfigured` for an empty chain and for a part of a chord.
    """
    if not isinstance(sig, Signature):
        raise TypeError(
            f"A task is replaced with a signature, such as other_task.s(), not {sig!r}."
        )
    if sig.options.get("chord") is not None:
        raise ImproperlyConfigured("A signature replacing a task must not be part of a chord")
    if sig.subtask_type == "chain" and is_empty(sig):
        raise ImproperlyConfigured("Cannot replace with an empty chain")
    copy: Signature[Any] = sig.clone()
    if ends_in_group(copy):
        # One task must have the id: it returns the list of the group's results.
        from djtasks.canvas.builtins import accumulate

        joined: Signature[Any] = copy | accumulate.s(index=0)
        return joined
    return copy


def add_to_chord(request: Context, sig: Signature[Any]) -> Any:
    """Let the chord whose header the running task is in wait for one task more.

    Its result comes last in the list that the body is given. Returns its handle. Raises
    :class:`ValueError` outside of a chord's header and when the chord has failed already.
    """
    delivery = request.delivery
    if delivery is None or delivery.position is None or delivery.feeds is None:
        raise ValueError("Current task is not member of any chord")
    sig = as_one(sig)
    join = UUID(bytes=delivery.feeds)
    alias = conf.DATABASE
    # Both or nothing: a join that waits for a message which is not there would wait for ever.
    with transaction.atomic(using=alias):
        with connections[alias].cursor() as cursor:
            cursor.execute(WIDEN_JOIN, {"join": join})
            found = cursor.fetchone()
        if found is None:
            raise ValueError("The chord of the current task has failed; nothing can be added")
        planned = Planned(
            sig,
            (),
            {},
            {},
            {"root_id": request.root_id, "parent_id": request.id},
            sink=Sink(join, many=False, position=found[0]),
        )
        enqueue(list(planned.rows()), mode="transaction", using=alias)
    return planned.handle
