"""``python manage.py runbeat``: send periodic tasks, where workers are not to do it."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connections

from djtasks.conf import conf
from djtasks.exceptions import ImproperlyConfigured
from djtasks.log import setup_worker_logging
from djtasks.management.starting import LEVELS, run_checks
from djtasks.queue.connect import parameters

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from types import FrameType


class Command(BaseCommand):
    """Run a beat."""

    help = (
        "Send periodic tasks until told to stop (TERM or Ctrl-C). Workers do this themselves "
        "unless they are started with --no-beat; any number of both may run."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "-l",
            "--loglevel",
            default="WARNING",
            type=str.upper,
            choices=LEVELS,
            help="the least level that is logged; INFO shows every run (default: WARNING)",
        )
        parser.add_argument(
            "--database", help="the alias of the queue's database (default: DATABASE)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the rows what the settings say, then beat."""
        from djtasks.beat.loop import Beat
        from djtasks.beat.seed import seed
        from djtasks.models import PeriodicTask

        database = options["database"] or conf.DATABASE
        if database not in connections:
            raise CommandError(
                f"There is no database {database!r} in DATABASES (--database, DJTASKS['DATABASE'])."
            )
        try:
            parameters(database)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        setup_worker_logging(logging.getLevelName(options["loglevel"].replace("FATAL", "CRITICAL")))
        run_checks(self)
        try:
            seed(database)
            count = PeriodicTask.objects.using(database).filter(enabled=True).count()
        except DatabaseError as error:
            raise CommandError(
                f"The schedules of the database {database!r} cannot be read: {error}"
            ) from error
        stop, ring = socket.socketpair()

        def end(number: int, frame: FrameType | None) -> None:
            ring.close()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        self.stdout.write(f"Beating: {count} enabled schedules in the database {database!r}.")
        sys.stdout.flush()
        with stop:
            Beat(database, stop).run()
