"""``python manage.py runtaskworker``: run tasks until told to stop."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, cast

import psycopg
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from djtasks.conf import conf
from djtasks.exceptions import ImproperlyConfigured
from djtasks.log import setup_worker_logging
from djtasks.management.starting import LEVELS, run_checks
from djtasks.worker.options import WorkerOptions, available_cpus, node_name

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from djtasks.worker.options import Pool, StartMethod


class Command(BaseCommand):
    """Run a worker."""

    help = "Run tasks until told to stop (TERM or Ctrl-C: finish what runs; QUIT: stop at once)."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options; their defaults come from the DJTASKS setting."""
        add = parser.add_argument
        add("-Q", "--queues", metavar="A,B", help="serve only these queues (default: all)")
        add("-X", "--exclude-queues", metavar="A,B", default="", help="serve all but these")
        add(
            "-c",
            "--concurrency",
            metavar="N",
            help="tasks at once (default: CPUs that this process may use)",
        )
        add(
            "-P",
            "--pool",
            choices=("prefork", "threads", "solo"),
            help="processes, threads of one process, or this very process",
        )
        add("-n", "--hostname", help="the worker's name; %%h host, %%n name, %%d domain")
        add(
            "-l",
            "--loglevel",
            default="WARNING",
            type=str.upper,
            choices=LEVELS,
            help="the least level that is logged; INFO shows every task (default: WARNING)",
        )
        add("--max-tasks-per-child", type=int, metavar="N", help="replace a child after N tasks")
        add(
            "--max-memory-per-child",
            type=int,
            metavar="KIB",
            help="replace a child that holds more memory than this",
        )
        add("--time-limit", type=float, metavar="S", help="kill tasks after S seconds")
        add(
            "--soft-time-limit",
            type=float,
            metavar="S",
            help="raise SoftTimeLimitExceeded in tasks after S seconds",
        )
        add(
            "--prefetch",
            type=int,
            metavar="N",
            help="messages that a child may hold (default: about 20 ms of work)",
        )
        add("--start-method", choices=("forkserver", "spawn"), help="how children are started")
        add("--database", help="the alias of the queue's database (default: DATABASE)")
        add("--drain", action="store_true", help="run what is there, then exit")
        add("--max-tasks", type=int, metavar="N", help="exit after N tasks")
        add(
            "--soft-shutdown-timeout",
            type=float,
            metavar="S",
            help="seconds that QUIT allows for what runs before it is ended",
        )
        add("--no-beat", action="store_true", help="leave periodic tasks to others")
        add(
            "--autoscale",
            metavar="MAX,MIN",
            help="run between MIN and MAX tasks at once, as there is to do (instead of -c)",
        )
        add("--reload", action="store_true", help="start again when the code changes")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the worker, or with ``--reload`` a process that runs it."""
        try:
            worker_options = self._options(options)
            worker_options.check()
            if worker_options.database not in connections:
                raise ImproperlyConfigured(
                    f"There is no database {worker_options.database!r} in DATABASES "
                    f"(--database, DJTASKS['DATABASE'])."
                )
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        if options["reload"]:
            from djtasks.worker.reload import run_with_reload

            sys.exit(run_with_reload(self.stdout.write))
        setup_worker_logging(worker_options.loglevel)
        from djtasks.worker.run import run_worker

        run_checks(self)
        connections.close_all()
        try:
            status = run_worker(worker_options, self.stdout.write)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        except (psycopg.Error, OSError) as error:
            raise CommandError(
                f"The database {worker_options.database!r} cannot be used: {error}"
            ) from error
        if status:
            sys.exit(status)

    @staticmethod
    def _options(given: dict[str, Any]) -> WorkerOptions:
        pool = cast("Pool", given["pool"] or conf.WORKER_POOL)
        start_method = cast("StartMethod", given["start_method"] or conf.WORKER_START_METHOD)
        concurrency = given["concurrency"] or conf.WORKER_CONCURRENCY
        if concurrency in (None, "auto"):
            concurrency = 1 if pool == "solo" else available_cpus()
        try:
            concurrency = int(concurrency)
        except ValueError:
            raise ImproperlyConfigured(
                f"--concurrency must be a number or 'auto', not {concurrency!r}."
            ) from None
        autoscale = None if given["autoscale"] is None else _scale(given["autoscale"])
        if autoscale is not None:
            # It begins with the fewest, and grows when there is something to do.
            concurrency = autoscale[1]
        return WorkerOptions(
            database=given["database"] or conf.DATABASE,
            queues=None if given["queues"] is None else _names(given["queues"]),
            excluded_queues=_names(given["exclude_queues"]),
            concurrency=concurrency,
            pool=pool,
            hostname=node_name(given["hostname"]),
            loglevel=logging.getLevelName(given["loglevel"].replace("FATAL", "CRITICAL")),
            max_tasks_per_child=given["max_tasks_per_child"] or conf.WORKER_MAX_TASKS_PER_CHILD,
            max_memory_per_child=given["max_memory_per_child"] or conf.WORKER_MAX_MEMORY_PER_CHILD,
            time_limit=given["time_limit"] or conf.TASK_TIME_LIMIT,
            soft_time_limit=given["soft_time_limit"] or conf.TASK_SOFT_TIME_LIMIT,
            prefetch=given["prefetch"] or conf.WORKER_PREFETCH,
            start_method=start_method,
            drain=given["drain"],
            max_tasks=given["max_tasks"],
            soft_shutdown_timeout=given["soft_shutdown_timeout"]
            or conf.WORKER_SOFT_SHUTDOWN_TIMEOUT,
            # One that ends by itself would send by chance.
            beat=not (given["no_beat"] or given["drain"]),
            autoscale=autoscale,
        )


def _scale(text: str) -> tuple[int, int]:
    """The most and the fewest tasks at once; one number is both the most, and 1 the fewest."""
    most, _comma, fewest = text.partition(",")
    try:
        return int(most), int(fewest or 1)
    except ValueError:
        raise ImproperlyConfigured(
            f"--autoscale must be the most and the fewest tasks at once, as in 10,2, not {text!r}."
        ) from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
