"""Django's database connections around each task, as around each request."""

from __future__ import annotations

import logging
import select
import threading
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.db import connections, reset_queries
from django.db.backends.signals import connection_created
from django.db.utils import Error

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger("djtasks.worker")

_SESSION_CHANGES = (
    "set ",
    "set\n",
    "reset ",
    "listen ",
    "prepare ",
    "create temp",
    "create temporary",
    "discard ",
    "load ",
)
_SESSION_FUNCTIONS = ("set_config(", "pg_advisory_lock", "pg_try_advisory_lock", " with hold")


def changes_session(sql: str) -> bool:
    """Whether a statement may leave something behind in its session.

    ``SET LOCAL`` and transaction-level locks end with their transaction and do not count.
    """
    head = sql.lstrip()[:20].lower()
    if head.startswith(_SESSION_CHANGES):
        return not head.startswith(("set local", "set constraints", "set transaction"))
    lower = sql.lower()
    return any(name in lower for name in _SESSION_FUNCTIONS)


def watch(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """Django's execute wrapper that notices statements which change the session."""
    if changes_session(sql):
        context["connection"]._djtasks_session_changed = True
    return execute(sql, params, many, context)


_opened: set[int] = set()
"""Threads of this process that may hold an open connection: most tasks use none at all."""


def before_task() -> None:
    """Close connections that are broken or too old, as at the start of a request."""
    if threading.get_ident() not in _opened:
        return
    for connection in connections.all(initialized_only=True):
        if connection.queries_logged:
            reset_queries()
        connection.close_if_unusable_or_obsolete()
        if _has_news(connection) and not connection.is_usable():
            connection.close()


def _has_news(connection: BaseDatabaseWrapper) -> bool:
    """Whether the server has said something on a connection that asked nothing: its end, mostly.

    A kept connection whose session was ended meanwhile would fail the next task.
    """
    fileno = getattr(connection.connection, "fileno", None)
    if fileno is None:
        return False
    poll = select.poll()
    poll.register(fileno(), select.POLLIN)
    return bool(poll.poll(0))


def after_task(task_name: str) -> None:
    """Leave every connection as the next task expects it, as at the end of a request.

    A transaction that was left open is rolled back; a connection whose session was changed
    (``SET search_path``, session locks …) is closed, also where ``CONN_MAX_AGE`` keeps others.
    """
    if threading.get_ident() not in _opened:
        return
    still_open = False
    for connection in connections.all(initialized_only=True):
        if connection.connection is None:
            continue
        try:
            _reset(connection, task_name)
        except Error:
            logger.debug("Closing a broken connection to %s", connection.alias, exc_info=True)
            connection.close()
        still_open = still_open or connection.connection is not None
    if not still_open:
        _opened.discard(threading.get_ident())


async def after_coroutine(task_name: str) -> None:
    """Do the same in the thread where a coroutine's ORM calls run, if it opened a connection."""
    if _opened - {threading.get_ident()}:
        await sync_to_async(after_task)(task_name)


def watch_connections() -> None:
    """From now on, in this process, notice statements that change a connection's session."""
    connection_created.connect(_watch_new, dispatch_uid="djtasks.watch_session")


def _watch_new(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    _opened.add(threading.get_ident())
    if watch not in connection.execute_wrappers:
        connection.execute_wrappers.append(watch)


def _reset(connection: BaseDatabaseWrapper, task_name: str) -> None:
    left_open = connection.in_atomic_block or not connection.get_autocommit()
    if left_open:
        logger.warning(
            "Task %s left a transaction open on database %r; it is rolled back",
            task_name,
            connection.alias,
        )
        # The wrapper's idea of the transaction went wrong with it: start from a new connection.
        connection.in_atomic_block = False
        connection.savepoint_ids = []
        connection.needs_rollback = False
        connection.run_on_commit = []
        connection.closed_in_transaction = False
        connection.close()
    elif connection.__dict__.pop("_djtasks_session_changed", False):
        connection.close()
    else:
        connection.close_if_unusable_or_obsolete()
        if connection.connection is not None and _in_raw_transaction(connection):
            logger.warning(
                "Task %s left a transaction open on database %r; it is rolled back",
                task_name,
                connection.alias,
            )
            connection.close()


def _in_raw_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether the server has a transaction open that Django knows nothing of (a bare BEGIN)."""
    info = getattr(connection.connection, "info", None)
    status = getattr(info, "transaction_status", None)
    return status is not None and status != 0
