"""Putting messages into the queue: in the caller's transaction, or when it commits."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from django.db import DEFAULT_DB_ALIAS, Error, connections, transaction

from djtasks.conf import conf
from djtasks.exceptions import DuplicateTaskId
from djtasks.queue.message import NewJoin, NewMessage, plain_columns
from djtasks.queue.sql import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

    from djtasks.queue.message import Row

logger = logging.getLogger("djtasks.queue")

Mode = Literal["transaction", "on_commit"]

INSERT_ONE = load("insert_one")
INSERT_PLAIN = load("insert_plain")
INSERT_PLAIN_AND_WAKE = load("insert_plain_and_wake")
INSERT_MANY = load("insert_many")
INSERT_MANY_PLAIN = load("insert_many_plain")
INSERT_JOINS = load("insert_joins")
INSERT_PAYLOAD = load("insert_payload")
WAKE = load("wake")


Collector = Callable[["Sequence[Row]"], None]
"""Somebody who takes the messages of calls instead of the database."""

_collector: ContextVar[Collector | None] = ContextVar("djtasks_collector", default=None)


@contextmanager
def collecting(collector: Collector) -> Iterator[None]:
    """Within the block every enqueued message goes to ``collector`` and not to the database."""
    token = _collector.set(collector)
    try:
        yield
    finally:
        _collector.reset(token)


def enqueue(messages: Sequence[Row], *, mode: Mode, using: str | None = None) -> None:
    """Enqueue the messages of one call, and the joins between them.

    With ``mode="transaction"`` the rows are written in the transaction that is open on the
    queue's database; with ``"on_commit"``, or where the open transaction is on another database,
    when that transaction commits, all of them in one statement. Idle workers are woken after
    the commit. ``using`` is the queue's database; by default the setting ``DATABASE``.

    Raises :class:`DuplicateTaskId` if a task id that the caller chose is queued or running; the
    caller's transaction stays usable.
    """
    if not messages:
        return
    collector = _collector.get()
    if collector is not None:
        _told_late(messages)
        collector(messages)
        return
    alias = using or conf.DATABASE
    connection = connections[alias]
    if connection.in_atomic_block:
        if mode == "on_commit":
            _on_commit(connection, Deferred, alias).add(messages)
            return
        if len(messages) == 1:
            insert(connection, messages)
        else:
            # All or none: a taken id among many must not leave the others behind.
            with transaction.atomic(using=alias):
                insert(connection, messages)
        _on_commit(connection, Wake, alias).add(messages)
        return
    elsewhere = _open_transaction()
    if elsewhere is not None:
        _on_commit(elsewhere, Deferred, alias).add(messages)
        return
    _insert_and_wake(connection, messages)


def insert(connection: BaseDatabaseWrapper, rows: Sequence[Row], *, keyed: bool = False) -> None:
    """Write the rows on this connection: messages in one statement, joins in another.

    ``keyed`` says that those which are unique have their keys already; otherwise they take them
    here, or are left out. Raises :class:`DuplicateTaskId` naming the first id that is taken, and
    what :func:`djtasks.queue.unique.insert_unique` raises.
    """
    joins = [row for row in rows if isinstance(row, NewJoin)]
    messages = [row for row in rows if isinstance(row, NewMessage)]
    if not keyed and any(message.unique is not None for message in messages):
        from djtasks.queue.unique import insert_unique

        insert_unique(connection, rows)
        return
    with connection.cursor() as cursor:
        if joins:
            cursor.execute(INSERT_JOINS, (f"[{','.join([row.as_json() for row in joins])}]",))
        if not messages:
            return
        if len(messages) == 1 and not messages[0].is_in_workflow:
            message = messages[0]
            payload_id = message.split_payload()
            if payload_id is not None:
                cursor.execute(INSERT_PAYLOAD, (payload_id, message.payload))
            if payload_id is None and message.is_plain:
                cursor.execute(INSERT_PLAIN, message.as_plain_row())
            else:
                cursor.execute(INSERT_ONE, message.as_row(payload_id))
        elif all(message.is_plain and not message.is_large for message in messages):
            cursor.execute(INSERT_MANY_PLAIN, plain_columns(messages))
        else:
            items = []
            large = []
            for message in messages:
                payload_id = message.split_payload()
                if payload_id is not None:
                    large.append((payload_id, message.payload))
                items.append(message.as_json(payload_id))
            if large:
                cursor.executemany(INSERT_PAYLOAD, large)
            cursor.execute(INSERT_MANY, (f"[{','.join(items)}]",))
        if cursor.rowcount != len(messages):
            raise _duplicate(cursor, messages)


def wake_workers(connection: BaseDatabaseWrapper, channels: dict[str, set[str]]) -> None:
    """Notify the idle workers that serve one of these queues, by channel.

    The messages are committed already: a database that goes away now is no error of the caller,
    for workers find them at their next look.
    """
    try:
        with connection.cursor() as cursor:
            for channel, queues in channels.items():
                for queue in sorted(queues):
                    cursor.execute(WAKE, {"channel": channel, "queue": queue})
    except Error:
        logger.warning("Idle workers could not be woken; they find the tasks later", exc_info=True)


def channels_of(rows: Sequence[Row]) -> dict[str, set[str]]:
    """Which queues are to be told of on which channel: of ready messages, or of later ones.

    Messages that were not inserted, for others have their unique keys, do not count.
    """
    channels: dict[str, set[str]] = {}
    for row in rows:
        if not isinstance(row, NewMessage):
            continue
        if row.after is None and (row.unique is None or row.unique.holder is None):
            channel = "djtasks_wake" if row.eta is None else "djtasks_due"
            channels.setdefault(channel, set()).add(row.queue)
    return channels


def flush_deferred(using: str | None = None) -> int:
    """Write what waits for the commit of a transaction now; returns the number of messages.

    For tests that run inside a transaction which is never committed.
    """
    count = 0
    for connection in connections.all(initialized_only=True):
        for hook in connection.run_on_commit:
            callback = hook[1]
            if isinstance(callback, Deferred) and callback.alias == (using or conf.DATABASE):
                count += callback.flush()
    return count


class Deferred:
    """Messages that are inserted when the transaction commits, in one statement."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.messages: list[Row] = []

    def add(self, messages: Sequence[Row]) -> None:
        """Remember messages until the commit."""
        _told_late(messages)
        self.messages.extend(messages)

    def flush(self) -> int:
        """Insert what has gathered; returns the number of messages."""
        messages, self.messages = self.messages, []
        if messages:
            connection = connections[self.alias]
            if connection.in_atomic_block:
                insert(connection, messages)
                _on_commit(connection, Wake, self.alias).add(messages)
            else:
                _insert_and_wake(connection, messages)
        return len(messages)

    def __call__(self) -> None:
        """Run by Django after the commit."""
        self.flush()


class Wake:
    """Workers to wake when the transaction commits: once for each queue."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.channels: dict[str, set[str]] = {}

    def add(self, messages: Sequence[Row]) -> None:
        """Remember whom these messages concern."""
        for channel, queues in channels_of(messages).items():
            self.channels.setdefault(channel, set()).update(queues)

    def __call__(self) -> None:
        """Run by Django after the commit."""
        wake_workers(connections[self.alias], self.channels)


Hook = TypeVar("Hook", Deferred, Wake)


def _on_commit(connection: BaseDatabaseWrapper, kind: type[Hook], alias: str) -> Hook:
    """The transaction's own hook of this kind, made on first use.

    It is looked up in Django's list and kept nowhere else, so that it lives and dies with its
    savepoint: a rollback to the savepoint takes the hook, and with it its messages, away.
    """
    sids = set(connection.savepoint_ids)
    for known in reversed(connection.run_on_commit):
        known_sids, callback = known[0], known[1]
        if type(callback) is kind and callback.alias == alias and known_sids == sids:
            return callback
    hook = kind(alias)
    transaction.on_commit(hook, using=connection.alias)
    return hook


def _open_transaction() -> BaseDatabaseWrapper | None:
    """The connection to another database whose transaction the caller has open, if any."""
    opened = [c for c in connections.all(initialized_only=True) if c.in_atomic_block]
    for connection in opened:
        if connection.alias == DEFAULT_DB_ALIAS:
            return connection
    return opened[0] if opened else None


def _insert_and_wake(connection: BaseDatabaseWrapper, messages: Sequence[Row]) -> None:
    if connection.get_autocommit():
        message = messages[0]
        if len(messages) == 1 and isinstance(message, NewMessage) and not message.is_large:
            if message.is_plain:
                _insert_one_and_wake(connection, message)
                return
            insert(connection, messages)
        elif any(isinstance(row, NewJoin) or row.is_large for row in messages):
            with transaction.atomic(using=connection.alias):
                insert(connection, messages)
        else:
            # One statement, which is all or nothing by itself.
            insert(connection, messages)
        wake_workers(connection, channels_of(messages))
    else:
        # Autocommit is off and the caller commits by hand: no hook tells when, so workers find
        # the messages by themselves, at their next look.
        insert(connection, messages)


def _insert_one_and_wake(connection: BaseDatabaseWrapper, message: NewMessage) -> None:
    with connection.cursor() as cursor:
        cursor.execute(INSERT_PLAIN_AND_WAKE, message.as_plain_row())
        (inserted,) = cursor.fetchone()
        if inserted != 1:
            raise _duplicate(cursor, [message])


def _duplicate(cursor: Any, messages: Sequence[NewMessage]) -> DuplicateTaskId:
    cursor.execute(
        "SELECT id FROM djtasks_message WHERE id = ANY (%s)", ([m.id for m in messages],)
    )
    queued = {row[0] for row in cursor.fetchall()}
    # One that is given twice in the same call is in no row yet when it is alone.
    counts = Counter(message.id for message in messages)
    taken = next(
        (m for m in messages if counts[m.id] > 1 or (m.id in queued and m.custom_id)),
        next((m for m in messages if m.id in queued), messages[0]),
    )
    return DuplicateTaskId(
        f"Task id {taken.custom_id or taken.id!s} is taken: a task with this id is queued or "
        f"running. Wait for its end, or call {taken.task} with another task_id."
    )


def _told_late(rows: Sequence[Row]) -> None:
    """Note of unique messages that their calls return before it is known who has their keys."""
    for row in rows:
        if isinstance(row, NewMessage) and row.unique is not None:
            row.unique.is_late = True
