"""How a worker was asked to run."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from typing import Any, Literal

from djtasks.exceptions import ImproperlyConfigured
from djtasks.worker.board import CAPACITY
from djtasks.worker.shape import check_scale

Pool = Literal["prefork", "threads", "solo"]
StartMethod = Literal["forkserver", "spawn"]


def available_cpus() -> int:
    """The CPUs that this process may use: its affinity, and its container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(cpus, _quota() or cpus))


def _quota() -> int | None:
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else max(1, int(quota) // int(period))


@dataclass(frozen=True)
class WorkerOptions:
    """The options of ``runtaskworker``; times in seconds, memory in KiB.

    ``queues`` None serves every queue. ``prefetch`` is how many messages a child may hold;
    None follows the measured run times. ``autoscale`` is the most and the fewest tasks at once; it
    begins with ``concurrency``.
    """

    database: str = "default"
    queues: tuple[str, ...] | None = None
    excluded_queues: tuple[str, ...] = ()
    concurrency: int = field(default_factory=available_cpus)
    pool: Pool = "prefork"
    hostname: str = ""
    loglevel: int = 30
    max_tasks_per_child: int | None = None
    max_memory_per_child: int | None = None
    time_limit: float | None = None
    soft_time_limit: float | None = None
    prefetch: int | None = None
    start_method: StartMethod = "forkserver"
    drain: bool = False
    max_tasks: int | None = None
    soft_shutdown_timeout: float = 0.0
    beat: bool = True
    autoscale: tuple[int, int] | None = None

    def for_child(self) -> dict[str, Any]:
        """What a child is told of these at its start."""
        return {
            "hostname": self.hostname,
            "database": self.database,
            "pool": self.pool,
            "soft_time_limit": self.soft_time_limit,
            "max_tasks_per_child": self.max_tasks_per_child,
            "max_memory_per_child": self.max_memory_per_child,
            "loglevel": self.loglevel,
        }

    def check(self) -> None:
        """Raise :class:`ImproperlyConfigured` for what the chosen pool cannot do."""
        impossible = {
            "--time-limit": self.time_limit is not None,
            "--max-tasks-per-child": self.max_tasks_per_child is not None,
            "--max-memory-per-child": self.max_memory_per_child is not None,
        }
        if self.pool == "threads":
            impossible["--soft-time-limit"] = self.soft_time_limit is not None
        if self.pool != "prefork":
            for option, given in impossible.items():
                if given:
                    raise ImproperlyConfigured(
                        f"{option} needs a process for each task, which the pool {self.pool!r} "
                        f"does not have. Use --pool prefork, or leave {option} out."
                    )
        if self.pool == "solo" and self.concurrency != 1:
            raise ImproperlyConfigured(
                "The pool 'solo' runs one task at a time. Use --concurrency 1, or another pool."
            )
        if self.time_limit and self.soft_time_limit and self.soft_time_limit > self.time_limit:
            raise ImproperlyConfigured(
                f"--soft-time-limit {self.soft_time_limit} is beyond --time-limit "
                f"{self.time_limit}: tasks would be killed before they are told."
            )
        if not 1 <= self.concurrency <= CAPACITY:
            raise ImproperlyConfigured(
                f"--concurrency must be from 1 to {CAPACITY}, not {self.concurrency}."
            )
        if self.autoscale is not None:
            check_scale(*self.autoscale, self.pool, ImproperlyConfigured)


def node_name(given: str | None) -> str:
    """A worker's name: ``worker@host`` or what was given, with Celery's abbreviations.

    ``%h`` host with domain, ``%n`` host without it, ``%d`` domain, ``%%`` a percent sign.
    """
    host = socket.gethostname()
    name, _dot, domain = host.partition(".")
    text = given or "worker@%h"
    for short, long in (("%h", host), ("%n", name), ("%d", domain), ("%%", "%")):
        text = text.replace(short, long)
    return text if "@" in text else f"{text}@{host}"
