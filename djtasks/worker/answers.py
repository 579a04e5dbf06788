"""What a worker answers when it is asked something, in the shapes of Celery's remote control."""

from __future__ import annotations

import json
import logging
import os
import platform
import resource
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import django

from djtasks import __version__
from djtasks.exceptions import QueueNotFound
from djtasks.execution.request import uuid_text
from djtasks.registry import registry
from djtasks.routing import queue_name
from djtasks.setting_table import table
from djtasks.worker.sizing import replace_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from djtasks.worker.member import Assignment, Member
    from djtasks.worker.parent import Parent
    from djtasks.worker.questions import Question

logger = logging.getLogger("djtasks.worker")

MOST_HELD: Final = 1000
"""Tasks that one answer names."""

Answer = dict[str, Any] | list[Any]


class Answers:
    """Answers for one worker, in its loop. A question is one of a fixed list and runs no task."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self._began = time.time()
        self._known: Mapping[str, Callable[..., Answer]] = {
            "active": self._active,
            "active_queues": self._active_queues,
            "add_consumer": self._add_consumer,
            "autoscale": self._autoscale,
            "cancel_consumer": self._cancel_consumer,
            "conf": self._conf,
            "heartbeat": self._heartbeat,
            "ping": self._ping,
            "pool_grow": self._pool_grow,
            "pool_restart": self._pool_restart,
            "pool_shrink": self._pool_shrink,
            "query_task": self._query_task,
            "registered": self._registered,
            "report": self._report,
            "reserved": self._reserved,
            "stats": self._stats,
        }

    def to(self, question: Question) -> Answer:
        """The answer; ``{"error": …}`` for what cannot be answered or done."""
        known = self._known.get(question.command)
        if known is None:
            return {"error": f"This worker knows no command {question.command!r:.100}."}
        try:
            arguments = json.loads(question.arguments)
            return known(**arguments)
        except (ValueError, TypeError) as error:
            return {"error": str(error)}
        except Exception as error:
            # A worker lives on, whatever it was asked.
            logger.exception("The question %s could not be answered", question.command)
            return {"error": f"{type(error).__name__}: {error}"}

    # --- what it is -------------------------------------------------------------------------

    def _ping(self) -> Answer:
        return {"ok": "pong"}

    def _heartbeat(self) -> Answer:
        self._parent.keeper.stir()
        return {"ok": "heartbeat"}

    def _stats(self) -> Answer:
        parent, shape, options = self._parent, self._parent.shape, self._parent.options
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "total": parent.crew.tally.totals(),
            "pid": os.getpid(),
            "uptime": round(time.time() - self._began),
            "prefetch_count": parent.crew.pace.ahead() * shape.concurrency,
            "database": parent.session.describe(),
            "listens": parent.session.listens,
            "quiet": parent.report.quiet,
            "pool": {
                "implementation": shape.pool,
                "max-concurrency": shape.concurrency,
                "processes": [member.pid or os.getpid() for member in self._members()],
                "busy": sum(1 for _ in self._running()),
                "max-tasks-per-child": options.max_tasks_per_child or "N/A",
                "timeouts": [options.soft_time_limit or 0, options.time_limit or 0],
                "autoscale": None if shape.autoscale is None else list(shape.autoscale),
            },
            "rusage": {
                name.removeprefix("ru_"): getattr(usage, name)
                for name in dir(usage)
                if name.startswith("ru_")
            },
        }

    def _registered(self, taskinfoitems: list[str] | None = None) -> Answer:
        found = []
        for name in sorted(registry):
            told = [
                f"{item}={value}"
                for item in taskinfoitems or ()
                if (value := _option(name, item)) is not None
            ]
            found.append(f"{name} [{' '.join(told)}]" if told else name)
        return found

    def _conf(self, with_defaults: bool = False) -> Answer:
        return table(with_defaults=with_defaults)

    def _report(self) -> Answer:
        parent = self._parent
        software = f"djtasks:{__version__} django:{django.get_version()}"
        system = f"system:{platform.system()} arch:{platform.machine()} host:{platform.node()}"
        database = f"{parent.session.describe()} (PostgreSQL {parent.session.server_version})"
        lines = [
            f"software -> {software} py:{platform.python_version()}",
            f"platform -> {system}",
            f"database -> {database}",
            f"pool -> {parent.shape.pool}, {parent.shape.concurrency} at once",
            "",
            *(f"{name}: {value!r}" for name, value in table().items()),
        ]
        return {"ok": "\n".join(lines)}

    # --- what it holds ----------------------------------------------------------------------

    def _members(self) -> list[Member]:
        return list(self._parent.crew.members.values())

    def _running(self) -> Iterator[tuple[Member, int, Assignment, float]]:
        for member in self._members():
            for slot in member.slots:
                token, seconds = self._parent.crew.board.running(slot)
                assignment = member.held.get(token) if token else None
                if assignment is not None and assignment.lost is None:
                    yield member, token, assignment, seconds

    def _waiting(self) -> Iterator[Assignment]:
        running = {token for _member, token, _assignment, _seconds in self._running()}
        yield from self._parent.crew.hand
        yield from self._parent.crew.behind
        for member in self._members():
            for token, assignment in member.held.items():
                if token not in running and assignment.lost is None:
                    yield assignment

    def _active(self) -> Answer:
        now = time.time()
        return [
            self._told(assignment, member, now - seconds)
            for member, _token, assignment, seconds in self._running()
        ][:MOST_HELD]

    def _reserved(self) -> Answer:
        return [self._told(assignment) for assignment in self._waiting()][:MOST_HELD]

    def _query_task(self, ids: list[str]) -> Answer:
        now = time.time()
        wanted = set(ids)
        found: dict[str, Any] = {}
        for assignment in self._waiting():
            if uuid_text(assignment.delivery.id) in wanted:
                found[uuid_text(assignment.delivery.id)] = ["reserved", self._told(assignment)]
        for member, _token, assignment, seconds in self._running():
            if uuid_text(assignment.delivery.id) in wanted:
                told = self._told(assignment, member, now - seconds)
                found[uuid_text(assignment.delivery.id)] = ["active", told]
        return found

    def _told(
        self, assignment: Assignment, member: Member | None = None, since: float | None = None
    ) -> dict[str, Any]:
        """One task, without its arguments: whoever asked reads them from its row."""
        delivery = assignment.delivery
        return {
            "id": delivery.custom_id or uuid_text(delivery.id),
            "key": uuid_text(delivery.id),
            "name": delivery.task,
            "type": delivery.task,
            "hostname": self._parent.options.hostname,
            "time_start": None if since is None else round(since, 6),
            "acknowledged": since is not None and not _is_late(delivery.task),
            "delivery_info": {
                "exchange": "",
                "routing_key": delivery.queue,
                "priority": -delivery.rank,
                "redelivered": delivery.deliveries > 0,
            },
            "worker_pid": None if member is None else member.pid or os.getpid(),
        }

    def _active_queues(self) -> Answer:
        return [
            {
                "name": name,
                "exchange": {"name": name, "type": "direct"},
                "routing_key": name,
                "durable": True,
                "exclusive": False,
                "auto_delete": False,
            }
            for name in self._parent.shape.queues or self._parent.intake.positions.queues
        ]

    # --- what it does -----------------------------------------------------------------------

    def _add_consumer(self, queue: str) -> Answer:
        self._parent.shape.add_queue(_queue(queue))
        self._parent.reshaped()
        return {"ok": f"add consumer {queue}"}

    def _cancel_consumer(self, queue: str) -> Answer:
        self._parent.shape.cancel_queue(_queue(queue))
        self._parent.reshaped()
        return {"ok": f"no longer consuming from {queue}"}

    def _pool_grow(self, n: int = 1) -> Answer:
        self._resize(_count(n))
        return {"ok": "pool will grow"}

    def _pool_shrink(self, n: int = 1) -> Answer:
        self._resize(-_count(n))
        return {"ok": "pool will shrink"}

    def _resize(self, by: int) -> None:
        shape = self._parent.shape
        shape.resize(shape.concurrency + by)
        if shape.autoscale is not None:
            # As in Celery: the bounds follow, or the size would not stay.
            most, fewest = shape.autoscale
            shape.autoscale = (max(most, shape.concurrency), min(fewest, shape.concurrency))
        self._parent.reshaped()

    def _autoscale(self, max: int, min: int) -> Answer:
        self._parent.shape.scale(_count(max), _count(min))
        return {"ok": f"autoscale now max={max} min={min}"}

    def _pool_restart(self) -> Answer:
        if self._parent.shape.pool == "solo":
            raise ValueError("The pool 'solo' has no process of its own that could be restarted.")
        replace_all(self._parent.crew)
        return {"ok": "reload started"}


def _queue(name: Any) -> str:
    try:
        return queue_name("The queue", name)
    except QueueNotFound as error:
        raise ValueError(error.args[0]) from error


def _count(number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError(f"The number must be whole and at least 1, not {number!r}.")
    return number


def _option(task: str, name: str) -> Any:
    value = getattr(registry[task], name, None)
    return None if callable(value) else value


def _is_late(task: str) -> bool:
    known = registry.get(task)
    return known is not None and bool(known.option("acks_late"))
