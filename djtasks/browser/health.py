"""Whether workers live and tasks are run: what a supervisor, a probe or an alarm asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from djtasks.browser.fleet import WorkerView, workers
from djtasks.browser.queues import QueueView, queues
from djtasks.conf import conf
from djtasks.control.inspecting import Inspect

__all__ = ["Check", "live", "ready"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: its name, whether it is well, and what was found."""

    name: str
    ok: bool
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return {"name": self.name, "ok": self.ok, "detail": self.detail}


def live(
    names: Iterable[str] = (),
    *,
    host: str | None = None,
    timeout: float | None = None,
    using: str | None = None,
) -> list[Check]:
    """Whether workers live, by name, or all on a host (the part of a name behind the ``@``).

    Each must have renewed its lease, and its loop must answer within ``timeout`` seconds.
    """
    alias = using or conf.DATABASE
    try:
        connections[alias].ensure_connection()
        found = workers(using=alias)
    except DatabaseError as error:
        return [_database(alias, error)]
    wanted = list(dict.fromkeys(names))
    if not wanted:
        wanted = [worker.hostname for worker in found if worker.hostname.endswith(f"@{host}")]
    if not wanted:
        return [Check("worker", False, f"No worker is registered on the host {host}.")]
    asked = Inspect(wanted, timeout=timeout, using=alias)
    answers = asked.ping() or {}
    return [_worker(name, found, answers) for name in wanted]


def _worker(name: str, found: list[WorkerView], answers: dict[str, Any]) -> Check:
    ours = [worker for worker in found if worker.hostname == name]
    if not ours:
        return Check(name, False, "No worker of this name is registered.")
    youngest = min(worker.age for worker in ours)
    if not any(worker.is_alive for worker in ours):
        return Check(name, False, f"Its last heartbeat was {youngest:.1f} s ago.")
    if name not in answers:
        return Check(name, False, "Its lease is renewed, but it does not answer.")
    return Check(name, True, f"It answers; its last heartbeat was {youngest:.1f} s ago.")


def ready(
    *,
    fewest_workers: int = 1,
    longest_wait: float = 600.0,
    only: Iterable[str] = (),
    using: str | None = None,
) -> list[Check]:
    """Whether tasks are run: the database, its tables, workers, and how long queues wait.

    ``fewest_workers`` that must live, ``longest_wait`` in seconds of the oldest ready task;
    ``only`` looks at these queues. Queues that are paused may wait.
    """
    alias = using or conf.DATABASE
    try:
        connections[alias].ensure_connection()
        executor = MigrationExecutor(connections[alias])
        targets = executor.loader.graph.leaf_nodes("djtasks")
        missing = [migration.name for migration, _ in executor.migration_plan(targets)]
    except DatabaseError as error:
        return [_database(alias, error)]
    checks = [Check("database", True, "It answers.")]
    if missing:
        told = f"Not applied: {', '.join(missing)}. Run: python manage.py migrate djtasks"
        return [*checks, Check("migrations", False, told)]
    checks.append(Check("migrations", True, "All are applied."))
    alive = [worker for worker in workers(using=alias) if worker.is_alive]
    checks.append(
        Check(
            "workers",
            len(alive) >= fewest_workers,
            f"{len(alive)} live, {fewest_workers} or more are wanted.",
        )
    )
    chosen = set(only)
    looked_at = [
        queue
        for queue in queues(using=alias)
        if queue.paused_at is None and (not chosen or queue.name in chosen)
    ]
    return [*checks, *_queues(looked_at, chosen, alive, longest_wait)]


def _queues(
    found: list[QueueView], chosen: set[str], alive: list[WorkerView], longest_wait: float
) -> Iterator[Check]:
    unserved = [queue.name for queue in found if queue.ready and not queue.worker_names]
    unserved += sorted(
        name
        for name in chosen - {queue.name for queue in found}
        if not any(worker.serves(name) for worker in alive)
    )
    told = f"No worker serves: {', '.join(unserved[:20])}." if unserved else "All are served."
    yield Check("queues", not unserved, told)
    late = [queue for queue in found if (queue.latency or 0.0) > longest_wait]
    late.sort(key=lambda queue: -(queue.latency or 0.0))
    names = ", ".join(f"{queue.name} ({queue.latency:.0f} s)" for queue in late[:20])
    longest = max((queue.latency or 0.0 for queue in found), default=0.0)
    yield Check(
        "wait",
        not late,
        f"Longer than {longest_wait:g} s: {names}."
        if late
        else f"The oldest ready task has waited {longest:.0f} s, {longest_wait:g} are allowed.",
    )


def _database(alias: str, error: Exception) -> Check:
    return Check("database", False, f"{alias}: {str(error).strip()}")
