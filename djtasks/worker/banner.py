"""What a worker says of itself at its start."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import django

from djtasks import __version__
from djtasks.registry import registry

if TYPE_CHECKING:
    from djtasks.worker.options import WorkerOptions


def banner(options: WorkerOptions, server_version: str, database: str, note: str = "") -> str:
    """The text: version, database, queues, pool, concurrency, and the tasks it knows."""
    queues = "all" if options.queues is None else ", ".join(options.queues)
    if options.excluded_queues:
        queues += f" but {', '.join(options.excluded_queues)}"
    rows = {
        "worker": options.hostname,
        "database": f"{database} (PostgreSQL {server_version.split()[0]})",
        "queues": queues,
        "pool": f"{options.pool}, {_at_once(options)}",
    }
    python = platform.python_version()
    lines = [
        f"djtasks {__version__} · Django {django.get_version()} · Python {python}",
        "",
        *(f"  {name:<10}{value}" for name, value in rows.items()),
    ]
    if note:
        lines += ["", f"  {note}"]
    # Those of the package itself are not what people look for here.
    names = sorted(name for name in registry if not name.startswith("djtasks."))
    lines += ["", "Tasks:" if names else "No tasks: no installed app has a tasks module."]
    lines += [f"  . {name}" for name in names]
    return "\n".join(lines) + "\n"


def _at_once(options: WorkerOptions) -> str:
    if options.autoscale is None:
        return f"{options.concurrency} at once"
    most, fewest = options.autoscale
    return f"{fewest} to {most} at once"
