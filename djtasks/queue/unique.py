"""Enqueueing messages that are unique: their keys are taken first, in the same transaction.

What is decided under which lock is told in ``0004_take_unique.sql``.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from django.db import transaction

from djtasks.codec import encode_exception
from djtasks.exceptions import DuplicateTaskId, NotUnique, TaskRevokedError
from djtasks.queue.enqueue import INSERT_PAYLOAD, insert, wake_workers
from djtasks.queue.message import NewMessage
from djtasks.queue.sql import load
from djtasks.queue.uniqueness import Holder, Unique, item, packed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

    from djtasks.queue.message import Row

TAKE_UNIQUE = load("take_unique")
REFUSE_UNIQUE = load("refuse_unique")
GIVE_BACK = "DELETE FROM djtasks_unique WHERE key = %s AND task_id = %s"


class Answer(NamedTuple):
    """What the taking of keys tells of one message: a row of ``take_unique.sql``."""

    taker: UUID
    holder: UUID | None
    holder_name: str | None
    replaced: UUID | None
    held_queue: str | None
    held_state: int | None


def take(
    connection: BaseDatabaseWrapper, items: Iterable[dict[str, Any]], *, hold: bool
) -> list[Answer]:
    """Take the keys of these items, and tell of those that others have or had.

    With ``hold`` a holder that counts only while it is queued is not begun before the open
    transaction ends.
    """
    with connection.cursor() as cursor:
        cursor.execute(TAKE_UNIQUE, {"items": packed(items), "hold": hold})
        return [Answer(*row) for row in cursor.fetchall()]


def insert_unique(connection: BaseDatabaseWrapper, rows: Sequence[Row]) -> None:
    """Insert rows of which some are unique, all that may be or none.

    Those whose key another task has are told of it as :attr:`Unique.holder`, and not inserted; if
    nobody is there any more to be told, they end as REVOKED with a reason that names the holder.

    Raises :class:`NotUnique` for the first that asks for that.
    """
    is_open = connection.in_atomic_block or not connection.get_autocommit()
    batch = _Batch(connection, rows, hold=is_open)
    # Of one call nothing but its key is to be taken back: no savepoint, which is half of its time.
    alone = is_open and len(rows) == 1 and not batch.replaces
    with nullcontext() if alone else transaction.atomic(using=connection.alias):
        batch.take()
        batch.end_replaced()
        try:
            insert(connection, batch.left(), keyed=True)
        except DuplicateTaskId:
            if alone:
                batch.give_back()
            raise
        batch.store_refused()


class _Batch:
    """The rows of one call or more: who takes a key, who follows, who gives way."""

    def __init__(self, connection: BaseDatabaseWrapper, rows: Sequence[Row], *, hold: bool) -> None:
        self._connection = connection
        self._rows = rows
        self._hold = hold
        self._keyed: list[tuple[NewMessage, Unique]] = []
        # An id of the caller's own, twice with one key: the second call means the first.
        self._doubles: list[tuple[NewMessage, Unique]] = []
        self._named: dict[UUID, str | None] = {}
        seen: set[tuple[str, UUID]] = set()
        for row in rows:
            if isinstance(row, NewMessage) and (unique := row.unique) is not None:
                place = (unique.key, row.id)
                (self._doubles if place in seen else self._keyed).append((row, unique))
                seen.add(place)
                self._named[row.id] = row.custom_id
        # Of calls with one key, a later one that replaces comes before those that it replaces.
        self._first: dict[str, NewMessage] = {}
        self._replaced_here: dict[UUID, NewMessage] = {}
        for message, unique in self._keyed:
            before = self._first.get(unique.key)
            if before is None:
                self._first[unique.key] = message
            elif unique.on_conflict == "replace":
                self._replaced_here[before.id] = self._first[unique.key] = message
        self.replaces = any(unique.on_conflict == "replace" for _, unique in self._keyed)
        self._ends: list[tuple[UUID, str]] = []
        self._refused: dict[UUID, tuple[NewMessage, str]] = {}

    def take(self) -> None:
        """Take the keys; what is not to be inserted has a holder from now on, or is to be ended."""
        answers = {
            answer.taker: answer
            for answer in take(
                self._connection,
                [
                    item(
                        message.id,
                        unique,
                        0 if self._first[unique.key] is message else 1,
                        replaces=unique.on_conflict == "replace",
                    )
                    for message, unique in self._keyed
                    if message.id not in self._replaced_here
                ],
                hold=self._hold,
            )
        }
        channels: dict[str, set[str]] = {}
        for message, unique in self._keyed:
            answer = answers.get(self._last(message).id)
            if answer is None:
                self._give_way(message)
                continue
            if answer.replaced is not None and self._last(message) is message:
                self._ends.append((answer.replaced, f"replaced by {_name(message)}"))
            if answer.held_queue is not None:
                channel = "djtasks_due" if answer.held_state else "djtasks_wake"
                channels.setdefault(channel, set()).add(answer.held_queue)
            if answer.holder is None:
                self._give_way(message)
            else:
                name = self._named.get(answer.holder, answer.holder_name)
                self._refuse(message, unique, Holder(answer.holder, name))
        for message, unique in self._doubles:
            self._refuse(message, unique, Holder(message.id, message.custom_id))
        if channels:
            # A worker that passed over what is locked until then does not look again by itself.
            transaction.on_commit(
                partial(wake_workers, self._connection, channels), using=self._connection.alias
            )

    def left(self) -> list[Row]:
        """The rows that are to be inserted."""
        return [
            row
            for row in self._rows
            if not isinstance(row, NewMessage)
            or row.unique is None
            or (row.unique.holder is None and row.id not in self._refused)
        ]

    def give_back(self) -> None:
        """Let the keys be free that were taken: they were nobody's before."""
        with self._connection.cursor() as cursor:
            for message, unique in self._keyed:
                cursor.execute(GIVE_BACK, (unique.key, message.id))

    def end_replaced(self) -> None:
        """End, as revoked, what was queued and is replaced."""
        from djtasks.queue.revoke import end_unbegun

        for id, reason in self._ends:
            end_unbegun([id], reason=reason, using=self._connection.alias)

    def store_refused(self) -> None:
        """Store, as revoked, what nobody can be told of."""
        if not self._refused:
            return
        told = []
        with self._connection.cursor() as cursor:
            for message, reason in self._refused.values():
                payload_id = message.split_payload()
                if payload_id is not None:
                    cursor.execute(INSERT_PAYLOAD, (payload_id, message.payload))
                refusal = encode_exception(TaskRevokedError(reason))
                told.append(f'{message.as_json(payload_id)[:-1]},"refusal":{refusal}}}')
            cursor.execute(REFUSE_UNIQUE, {"messages": f"[{','.join(told)}]"})

    def _last(self, message: NewMessage) -> NewMessage:
        """The call that has replaced this one in the end, or itself."""
        while (later := self._replaced_here.get(message.id)) is not None:
            message = later
        return message

    def _give_way(self, message: NewMessage) -> None:
        later = self._last(message)
        if later is not message:
            self._refused[message.id] = (message, f"replaced by {_name(later)}")

    def _refuse(self, message: NewMessage, unique: Unique, holder: Holder) -> None:
        name = holder.custom_id or str(holder.id)
        if unique.on_conflict == "raise" and not unique.is_late:
            raise NotUnique.of(message.task, unique.key, name)
        unique.holder = holder
        # With the same id, of the caller's own, its handle speaks of the holder already.
        if unique.is_late and holder.id != message.id:
            self._refused[message.id] = (message, f"not unique: {name} has the key {unique.key}")


def _name(message: NewMessage) -> str:
    return message.custom_id or str(message.id)
