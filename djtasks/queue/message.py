"""A message that is about to be enqueued."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from djtasks.conf import conf
from djtasks.queue.arrays import numbers, texts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from djtasks.queue.uniqueness import Unique


@dataclass(slots=True)
class NewMessage:
    """What one call of a task puts into the queue.

    ``payload`` is the JSON text of ``[args, kwargs]``; ``options`` holds only what is set, as
    values that JSON knows: headers, timelimit, ignore_result, shadow, argsrepr, kwargsrepr,
    link, link_error, track_started. ``priority``: larger runs first. ``after``, ``feeds`` and
    ``position`` are its place in a workflow; what waits is due ``countdown`` seconds after what it
    waits for, and expires ``lifetime`` seconds after that. ``unique`` is the key that it needs to
    be enqueued at all.
    """

    id: UUID
    task: str
    payload: str
    queue: str
    priority: int = 0
    eta: datetime | None = None
    expires: datetime | None = None
    retries: int = 0
    custom_id: str | None = None
    root_id: UUID | None = None
    parent_id: UUID | None = None
    options: dict[str, Any] | None = None
    after: UUID | None = None
    feeds: UUID | None = None
    position: int | None = None
    immutable: bool = False
    countdown: float | None = None
    lifetime: float | None = None
    unique: Unique | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the call asked for nothing beyond a task, a queue and a priority."""
        return (
            self.eta is None
            and self.options is None
            and self.expires is None
            and not self.retries
            and self.custom_id is None
            and self.root_id is None
            and self.parent_id is None
            and not self.is_in_workflow
        )

    @property
    def is_in_workflow(self) -> bool:
        """Whether it waits for others, or others for it."""
        return self.after is not None or self.feeds is not None

    def as_plain_row(self) -> tuple[Any, ...]:
        """The parameters of ``insert_plain.sql``."""
        return (self.id, self.task, self.payload, self.queue, -self.priority)

    def as_row(self, payload_id: UUID | None = None) -> tuple[Any, ...]:
        """The parameters of ``insert_one.sql``; with ``payload_id`` the arguments stay out."""
        eta = self.eta
        options = self.options
        fair = None if options is None else options.get("fair")
        return (
            self.id,
            self.task,
            self.payload if payload_id is None else None,
            payload_id,
            self.queue,
            -self.priority,
            eta,
            fair,
            eta,
            self.expires,
            self.retries,
            self.custom_id,
            self.root_id,
            self.parent_id,
            None if options is None else json.dumps(options, separators=(",", ":")),
            None if options is None else options.get("lane"),
            fair,
        )

    def as_json(self, payload_id: UUID | None = None, **extra: str | int) -> str:
        """One element of the array that ``insert_many.sql`` reads.

        The payload is JSON already and is put in as it is, never encoded twice.
        """
        fields: dict[str, Any] = {"task": self.task, "queue": self.queue, **extra}
        if payload_id is not None:
            fields["payload_id"] = str(payload_id)
        if self.priority:
            fields["rank"] = -self.priority
        if self.eta is not None:
            fields["eta"] = self.eta.isoformat()
        if self.expires is not None:
            fields["expires"] = self.expires.isoformat()
        if self.retries:
            fields["retries"] = self.retries
        if self.custom_id is not None:
            fields["custom_id"] = self.custom_id
        if self.root_id is not None:
            fields["root_id"] = str(self.root_id)
        if self.parent_id is not None:
            fields["parent_id"] = str(self.parent_id)
        if self.options is not None:
            fields["options"] = self.options
        if self.feeds is not None:
            fields["feeds"] = str(self.feeds)
            if self.position is not None:
                fields["position"] = self.position
        if self.after is not None:
            fields["after"] = str(self.after)
            if self.immutable:
                fields["immutable"] = True
            if self.countdown is not None:
                fields["countdown"] = self.countdown
            if self.lifetime is not None:
                fields["lifetime"] = self.lifetime
        head = f'{{"id":"{self.id}",'
        if payload_id is None:
            head += f'"payload":{self.payload},'
        return head + json.dumps(fields, separators=(",", ":"))[1:]

    def split_payload(self) -> UUID | None:
        """A key for the arguments if they are too large to travel with the message."""
        return self.id if self.is_large else None

    @property
    def is_large(self) -> bool:
        """Whether the arguments are larger than the setting ``INLINE_PAYLOAD``, in bytes.

        Those of a message that waits stay with it: a result is going to be put before them.
        """
        if self.after is not None:
            return False
        payload, limit = self.payload, conf.INLINE_PAYLOAD
        if len(payload) > limit:
            return True
        return not payload.isascii() and len(payload.encode()) > limit


JOIN = '"size":'
"""How the JSON of a join begins, and that of no message."""


@dataclass(slots=True)
class NewJoin:
    """A join that counts the ``size`` results it is fed.

    ``is_group`` says who waits for it, ``after`` what everything that feeds it waits for.
    """

    id: UUID
    root_id: UUID
    size: int
    is_group: bool
    after: UUID | None = None

    def as_json(self) -> str:
        """One element of the array that ``insert_joins.sql`` reads."""
        is_group = "true" if self.is_group else "false"
        after = "null" if self.after is None else f'"{self.after}"'
        return (
            f'{{{JOIN}{self.size},"id":"{self.id}","root_id":"{self.root_id}",'
            f'"is_group":{is_group},"after":{after}}}'
        )


Row = NewMessage | NewJoin
"""What one call may put into the tables."""


def plain_columns(messages: Sequence[NewMessage]) -> tuple[str, str, str, str, str]:
    """The parameters of ``insert_many_plain.sql``."""
    return (
        f"{{{','.join([message.id.hex for message in messages])}}}",
        texts([message.task for message in messages]),
        texts([message.payload for message in messages]),
        texts([message.queue for message in messages]),
        numbers([-message.priority for message in messages]),
    )
