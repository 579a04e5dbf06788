"""What is still ahead of a running task in its workflow, read from the rows that wait."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from djtasks.canvas.signature import Signature
from djtasks.carried import options_of
from djtasks.models import Message, MessageState

if TYPE_CHECKING:
    from djtasks.queue.delivery import Delivery


def chain_of(delivery: Delivery) -> list[Signature[Any]] | None:
    """The steps that follow, the last one first, as Celery's ``request.chain`` has them."""
    found = []
    join, position = delivery.feeds, delivery.position
    at = None if join is None else UUID(bytes=join)
    while at is not None and position is None:
        waiting = _waiting(at)
        if not waiting:
            break
        found.append(_together(waiting))
        if len(waiting) > 1:
            break
        at, position = waiting[0].feeds, waiting[0].position
    return found[::-1] or None


def chord_of(delivery: Delivery) -> Signature[Any] | None:
    """The body that waits for the header in which the task is."""
    if delivery.position is None or delivery.feeds is None:
        return None
    waiting = _waiting(UUID(bytes=delivery.feeds))
    return _together(waiting) if waiting else None


def _waiting(join: UUID) -> list[Message]:
    return list(Message.objects.filter(after=join, state=MessageState.WAITING).order_by("seq"))


def _together(messages: list[Message]) -> Signature[Any]:
    from djtasks.canvas.group import group

    signatures = [_signature(message) for message in messages]
    return signatures[0] if len(signatures) == 1 else group(signatures)


def _signature(message: Message) -> Signature[Any]:
    options = {
        "task_id": message.custom_id or str(message.id),
        "queue": message.queue,
        "priority": -message.rank,
        "root_id": message.root_id and str(message.root_id),
        "parent_id": message.parent_id and str(message.parent_id),
        "eta": message.eta,
        "countdown": message.countdown,
        "expires": message.expires if message.lifetime is None else message.lifetime,
        **options_of(json.loads(message.options or "{}")),
    }
    return Signature.from_dict(
        {
            "task": message.task,
            "payload": message.payload,
            "options": {name: value for name, value in options.items() if value is not None},
            "subtask_type": None,
            "immutable": bool(message.immutable),
        }
    )
