"""Orders to workers, which they obey within a second."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.db import Error, connections, transaction

from djtasks.control.each import carry_out, database, keys
from djtasks.control.outcome import Outcome, Reason
from djtasks.control.sql import load
from djtasks.control.standing import refusal, standings
from djtasks.queue.aborting import request_abort

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger("djtasks.control")

ORDERS = load("orders")
ORDER = load("order")

CHANNEL: Final = "djtasks_orders"
"""Where workers that can listen are told to read their orders; the payload is a worker's id."""

EVERYBODY: Final = "*"
"""The payload that every worker takes for its own."""

SIGNALS: Final = ("SIGTERM", "SIGKILL", "SIGQUIT", "SIGINT", "SIGHUP", "SIGABRT")
"""Signals that end a process, and with which a task may be terminated."""


def quiet(worker_ids: Sequence[int], *, using: str | None = None) -> Outcome:
    """Let workers claim nothing more; what they hold runs on. ``worker_ids``: of their rows."""
    return _tell_all(worker_ids, {"quiet": True}, using)


def unquiet(worker_ids: Sequence[int], *, using: str | None = None) -> Outcome:
    """Let workers that were made quiet claim again."""
    return _tell_all(worker_ids, {"quiet": False}, using)


def stop(worker_ids: Sequence[int], *, using: str | None = None) -> Outcome:
    """Let workers finish what they run and end, as TERM does."""
    return _tell_all(worker_ids, {"stop": True}, using)


def terminate(
    ids: Sequence[UUID | str], *, signal: str = "SIGTERM", using: str | None = None
) -> Outcome:
    """Kill the processes that run these tasks, which end as REVOKED.

    In a worker without processes for its tasks (the pools threads and solo) they are asked to end
    instead, and do so when they next ask ``self.is_aborted()``; what such a worker has not begun is
    revoked. ``done`` counts the orders given; a task that ends by itself meanwhile keeps its end.
    Passed over: what does not run. Raises :class:`ValueError` for a signal that does not end a
    process.
    """
    name = checked_signal(signal)
    alias = database(using)

    def act(batch: Sequence[UUID]) -> set[UUID]:
        victims: dict[int, list[UUID]] = defaultdict(list)
        asked: list[UUID] = []
        for task in standings(batch, alias).values():
            if task.owner is not None and refusal("terminate", task) is None:
                victims[task.owner].append(task.id)
                if task.pool != "prefork":
                    asked.append(task.id)

        def told(worker: int) -> dict[str, Any]:
            return {"terminate": {id.hex: name for id in victims[worker]}}

        if asked:
            # Before the worker is told: what begins meanwhile finds it.
            request_abort(asked, revoke=True, running=True, using=alias)
        reached = _give_orders(victims, told, alias)
        return {id for worker in reached for id in victims[worker]}

    return carry_out("terminate", keys(ids), act, alias)


def checked_signal(signal: str) -> str:
    """The name of a signal, as in ``SIGTERM``, also from ``term``. Raises :class:`ValueError`."""
    name = f"SIG{signal.upper().removeprefix('SIG')}"
    if name not in SIGNALS:
        raise ValueError(f"The signal must be one of {', '.join(SIGNALS)}, not {signal!r}.")
    return name


def _tell_all(worker_ids: Sequence[int], order: dict[str, Any], using: str | None) -> Outcome:
    ids = list(dict.fromkeys(worker_ids))
    reached = _give_orders(ids, lambda _worker: order, database(using))
    return Outcome.of(len(reached), [Reason.NO_WORKER] * (len(ids) - len(reached)))


def _give_orders(
    workers: Iterable[int], order: Callable[[int], dict[str, Any]], alias: str
) -> set[int]:
    """Add an order to those of each worker that there is; returns the ids of those workers."""
    reached: set[int] = set()
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(ORDERS, {"ids": list(workers)})
        for id, text in cursor.fetchall():
            merged = json.dumps(_merged(text, order(id)), separators=(",", ":"))
            cursor.execute(ORDER, {"id": id, "orders": merged})
            reached.add(id)
        if reached:
            notify(sorted(reached), alias)
    return reached


def notify(workers: Sequence[int], alias: str) -> None:
    """Have workers look at what they are told or asked, after the caller's commit."""
    # In a transaction of its own: a notification's commit takes a lock of the server.
    transaction.on_commit(partial(_notify, [str(id) for id in workers], alias), using=alias)


def tell_settings(alias: str) -> None:
    """Have all workers look at what is set for tasks, after the caller's commit."""
    transaction.on_commit(partial(_notify, [EVERYBODY], alias), using=alias)


def _merged(text: str, order: dict[str, Any]) -> dict[str, Any]:
    """The orders that a worker has, with another one."""
    try:
        orders = json.loads(text or "{}")
    except ValueError:
        orders = None
    if not isinstance(orders, dict) or not isinstance(orders.get("terminate", {}), dict):
        logger.warning("The orders of a worker were unreadable and are replaced: %.200r", text)
        orders = {}
    victims = {**orders.get("terminate", {}), **order.get("terminate", {})}
    return {**orders, **order, **({"terminate": victims} if victims else {})}


def _notify(payloads: Sequence[str], alias: str) -> None:
    try:
        with connections[alias].cursor() as cursor:
            for payload in payloads:
                cursor.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
    except Error:
        logger.warning("Workers could not be notified; their heartbeat finds it", exc_info=True)
