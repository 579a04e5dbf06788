"""``python manage.py tasksend``: call a task from a shell."""

from __future__ import annotations

import difflib
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from djtasks.app import app
from djtasks.exceptions import DuplicateTaskId, EncodeError, QueueNotFound, TimeoutError
from djtasks.management.durations import duration
from djtasks.management.values import json_of
from djtasks.registry import registry

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from djtasks.result import AsyncResult

DESCRIPTION = """
Call a task by its name and print the id of the call. Arguments are JSON, as in
--args '[42]' --kwargs '{"to": "me@example.com"}'. Those of a task that this project knows are
checked against its signature; a call of another waits for a worker that knows it.
With --wait the result is printed behind the id, and the status is 1 if the task fails or does not
end in time.
"""


class Command(BaseCommand):
    """Call a task."""

    help = DESCRIPTION
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the task, its arguments and the options of the call."""
        add = parser.add_argument
        add("name", help="the name of the task, as in shop.tasks.send_invoice")
        # Django takes an option of the name args for positional arguments of its own.
        add("--args", dest="task_args", type=partial(json_of, list), default=[], metavar="JSON")
        add("--kwargs", dest="task_kwargs", type=partial(json_of, dict), default={}, metavar="JSON")
        add("--queue", help="the queue (default: that of the task)")
        add("--priority", type=int, help="larger runs first (default: that of the task)")
        add("--countdown", type=duration, metavar="TIME", help="run it so much later: 90s, 10m")
        add("--eta", metavar="WHEN", help="run it not before: a date and time in ISO 8601")
        add("--expires", type=duration, metavar="TIME", help="do not begin it after so long")
        add("--task-id", metavar="ID", help="an id of your own for the call")
        add("--wait", type=duration, metavar="TIME", help="wait so long for its result")
        add("--force", action="store_true", help="also a task that this project does not know")

    def handle(self, *args: Any, **options: Any) -> None:
        """Call it. Raises :class:`CommandError` for what is wrong with the call."""
        name = options["name"]
        given = ("queue", "priority", "countdown", "eta", "expires", "task_id")
        chosen = {key: options[key] for key in given if options[key] is not None}
        task = registry.get(name)
        if task is None and not options["force"]:
            near = difflib.get_close_matches(name, list(registry), n=1)
            meant = f" Did you mean {near[0]}?" if near else ""
            raise CommandError(
                f"This project knows no task {name!r}.{meant} Say --force if workers know it."
            )
        try:
            if task is not None:
                task._check_call(options["task_args"], options["task_kwargs"])
            result = app.send_task(name, options["task_args"], options["task_kwargs"], **chosen)
        except (
            DuplicateTaskId,
            EncodeError,
            QueueNotFound,
            TypeError,
            ValueError,
        ) as error:
            raise CommandError(f"{name}: {error}") from error
        self.stdout.write(result.id)
        if options["wait"] is not None:
            self._wait(result, options["wait"])

    def _wait(self, result: AsyncResult[Any], seconds: float) -> None:
        self.stdout.flush()
        try:
            value = result.get(timeout=seconds)
        except TimeoutError:
            raise CommandError(f"It has not ended after {seconds:g} s: {result.state}.") from None
        except Exception as error:
            sys.stderr.write(result.traceback or "")
            raise CommandError(f"{result.state}: {type(error).__name__}: {error}") from error
        self.stdout.write(repr(value))
