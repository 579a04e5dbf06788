"""``app.control.inspect()``: what workers say of themselves and what is queued, as in Celery."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final
from uuid import UUID

from django.db import connections

from djtasks.control import asking
from djtasks.control.chosen import Destination, chosen
from djtasks.control.each import database
from djtasks.control.sql import load
from djtasks.ids import to_uuid
from djtasks.models import MessageState

logger = logging.getLogger("djtasks.control")

TOLD_TASKS = load("told_tasks")
QUEUED_TASKS = load("queued_tasks")

LISTED: Final = 1000
"""Tasks that are listed of those that no worker holds."""

ByWorker = dict[str, Any]


class Inspect:
    """Asks workers, each anew: ``Inspect(["worker@host"], timeout=2).ping()``.

    ``destination`` is a name, or several; of a single name the methods return its answer alone.
    ``timeout`` is in seconds (1; where a pooler keeps notifications from a worker, 4).
    ``limit`` is how many answers are enough; ``callback`` is called with each. ``pattern`` is one
    of a shell, or with ``matcher="pcre"`` a regular expression.

    As in Celery the methods return None if nobody answers. Who did not is in ``missing`` after each
    call, and in the log. Raises :class:`RuntimeError` inside a transaction, which workers cannot
    look into.
    """

    def __init__(
        self,
        destination: Destination = None,
        timeout: float | None = None,
        callback: Callable[[ByWorker], object] | None = None,
        connection: object = None,
        app: object = None,
        limit: int | None = None,
        pattern: str | None = None,
        matcher: str | None = None,
        using: str | None = None,
    ) -> None:
        self.destination = destination
        self.timeout = timeout
        self.callback = callback
        self.limit = limit
        self.pattern = pattern
        self.matcher = matcher
        self.missing: tuple[str, ...] = ()
        self._using = using

    # --- asked of each worker ---------------------------------------------------------------

    def ping(self, destination: Destination = None) -> Any:
        """``{name: {"ok": "pong"}}``: the loop of each worker that answers runs."""
        if destination is not None:
            self.destination = destination
        return self._request("ping")

    def stats(self) -> Any:
        """Process ids, pool, up-time, how many runs of which task ended since the start."""
        return self._request("stats")

    def registered(self, *taskinfoitems: str) -> Any:
        """The names of the tasks that each worker knows, with these options of theirs."""
        return self._request("registered", taskinfoitems=list(taskinfoitems))

    registered_tasks = registered

    def conf(self, with_defaults: bool = False) -> Any:
        """The settings of each worker, without secrets; those that were set, or all."""
        return self._request("conf", with_defaults=with_defaults)

    def report(self) -> Any:
        """A text for people about each worker: ``{name: {"ok": text}}``."""
        return self._request("report")

    def active_queues(self) -> Any:
        """The queues that each worker serves now, as dicts with ``name``."""
        return self._request("active_queues")

    def active(self, safe: bool | None = None) -> Any:
        """What each worker runs at this moment, as dicts of Celery's keys."""
        return self._with_arguments(self._ask("active"))

    def reserved(self) -> Any:
        """What each worker has taken and not begun."""
        return self._with_arguments(self._ask("reserved"))

    # --- what the tables say ----------------------------------------------------------------

    def scheduled(self, limit: int = LISTED) -> dict[str, list[dict[str, Any]]]:
        """What is to run at a later time, the next first, by queue: no worker holds it."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self._queued(None, limit):
            told = {"eta": row["eta"], "priority": row["delivery_info"]["priority"]}
            found.setdefault(row["delivery_info"]["routing_key"], []).append(
                {**told, "request": row}
            )
        return found

    def revoked(self, limit: int = LISTED) -> dict[str, list[str]]:
        """The ids of tasks that were revoked, the last first, by the queue that they were in."""
        from djtasks.models import TaskResult

        rows = (
            TaskResult.objects.using(database(self._using))
            .filter(state="REVOKED", date_done__isnull=False)
            .order_by("-date_done")
            .values_list("queue", "custom_id", "id")
        )
        found: dict[str, list[str]] = {}
        for queue, custom_id, id in rows[:limit]:
            found.setdefault(queue, []).append(custom_id or str(id))
        return found

    def query_task(self, *ids: Any) -> Any:
        """Where tasks are: ``{name: {id: [state, info]}}``.

        A worker's are ``active`` or ``reserved``. What none holds is under its queue's name:
        ``ready``, ``in_line`` (ready, and it has a ``fair_key``), ``scheduled``, ``waiting``,
        ``blocked`` (by a limit) or ``held`` (its task is paused). What has ended is nowhere: see
        ``AsyncResult``.
        """
        if len(ids) == 1 and isinstance(ids[0], (list, tuple)):
            ids = tuple(ids[0])
        keys = [to_uuid(id)[0] for id in ids]
        answers = self._ask("query_task", ids=[str(key) for key in keys])
        self._fill([info for found in answers.values() for _state, info in found.values()])
        told: dict[str, Any] = {
            name: {info["id"]: [state, info] for state, info in found.values()}
            for name, found in answers.items()
        }
        for info in self._queued(keys, len(keys)):
            state = MessageState(info.pop("state")).name.lower()
            queue = info["delivery_info"]["routing_key"]
            told.setdefault(queue, {})[info["id"]] = [state, info]
        return self._prepared(told)

    # --- how it asks ------------------------------------------------------------------------

    def _request(self, command: str, **arguments: Any) -> Any:
        return self._prepared(self._ask(command, **arguments))

    def _ask(self, command: str, **arguments: Any) -> ByWorker:
        workers, unknown = chosen(self.destination, self.pattern, self.matcher, using=self._using)
        answers = asking.ask(
            workers,
            command,
            arguments,
            timeout=self.timeout,
            limit=self.limit,
            using=self._using,
        )
        self.missing = (*answers.missing, *unknown)
        if unknown:
            logger.warning("%s: there is no worker %s", command, ", ".join(unknown))
        found: ByWorker = {}
        for name, answer in answers.given:
            if name in found:
                logger.warning("Several workers are called %s: give each its own -n.", name)
            found[name] = answer
            if self.callback is not None:
                self.callback({name: answer})
        return found

    def _prepared(self, found: ByWorker) -> Any:
        if not found:
            return None
        if isinstance(self.destination, str):
            return found.get(self.destination)
        return found

    def _with_arguments(self, found: ByWorker) -> Any:
        self._fill([info for infos in found.values() if isinstance(infos, list) for info in infos])
        return self._prepared(found)

    def _fill(self, infos: list[dict[str, Any]]) -> None:
        """Add the arguments of tasks, which are in their rows; those that ended have none here."""
        keys = [UUID(info.pop("key")) for info in infos]
        rows: dict[UUID, tuple[Any, Any]] = {}
        if keys:
            with connections[database(self._using)].cursor() as cursor:
                cursor.execute(TOLD_TASKS, {"ids": keys})
                rows = {id: _arguments(*rest) for id, *rest in cursor.fetchall()}
        for key, info in zip(keys, infos, strict=True):
            info["args"], info["kwargs"] = rows.get(key, (None, None))

    def _queued(self, ids: Iterable[UUID] | None, limit: int) -> list[dict[str, Any]]:
        wanted = None if ids is None else list(ids)
        with connections[database(self._using)].cursor() as cursor:
            cursor.execute(QUEUED_TASKS, {"ids": wanted, "limit": limit})
            rows = cursor.fetchall()
        found = []
        for id, custom_id, task, state, queue, rank, eta, lost, payload, options in rows:
            args, kwargs = _arguments(payload, options)
            info = {
                "id": custom_id or str(id),
                "name": task,
                "type": task,
                "args": args,
                "kwargs": kwargs,
                "hostname": None,
                "time_start": None,
                "acknowledged": False,
                "delivery_info": {
                    "exchange": "",
                    "routing_key": queue,
                    "priority": -rank,
                    "redelivered": lost > 0,
                },
                "worker_pid": None,
                "eta": None if eta is None else eta.isoformat(),
            }
            found.append(info if wanted is None else {**info, "state": state})
        return found


def _arguments(payload: str | None, options: str | None) -> tuple[Any, Any]:
    """Arguments as they are stored, or what is to be shown instead of them."""
    try:
        given = json.loads(options) if options else {}
        args, kwargs = json.loads(payload or "[[],{}]")
    except ValueError:
        # A broken row: the worker that is given it says so in its result.
        return None, None
    if isinstance(given, dict) and ("argsrepr" in given or "kwargsrepr" in given):
        return given.get("argsrepr", "(…)"), given.get("kwargsrepr", "{…}")
    return args, kwargs
