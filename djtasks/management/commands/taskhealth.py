"""``python manage.py taskhealth``: whether workers live and tasks are run."""

from __future__ import annotations

import json
import socket
import sys
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from djtasks.browser import health
from djtasks.conf import conf
from djtasks.management.durations import duration

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Look whether all is well."""

    help = (
        "Say whether workers live (live) or tasks are run (ready). The status is 0 if all is well "
        "and 1 if not; each thing that was looked at is a line."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare both kinds of health."""
        kinds = parser.add_subparsers(dest="kind", required=True, metavar="live|ready")
        live = kinds.add_parser(
            "live",
            help="whether workers live: for the liveness probe beside a worker",
            description="Whether the workers on this host, or those named, renew their lease and "
            "answer. For a liveness probe in the worker's own container.",
        )
        live.add_argument(
            "-w",
            "--worker",
            action="append",
            default=[],
            help="the name of a worker, as in worker@host (default: all on this host)",
        )
        live.add_argument(
            "-t", "--timeout", type=duration, help="how long it may take to answer (default: 1s)"
        )
        ready = kinds.add_parser(
            "ready",
            help="whether tasks are run: database, migrations, workers, queues",
            description="Whether the database answers, its migrations are applied, workers live, "
            "every queue with ready tasks is served, and none waits for too long.",
        )
        ready.add_argument(
            "--min-workers", type=int, default=1, metavar="N", help="workers that must live (1)"
        )
        ready.add_argument(
            "--max-wait",
            type=duration,
            default=600.0,
            metavar="TIME",
            help="how long the oldest ready task may have waited (10m)",
        )
        ready.add_argument(
            "-Q", "--queue", action="append", default=[], help="look at this queue only"
        )
        for sub in (live, ready):
            sub.add_argument("--format", choices=("text", "json"), default="text")
            sub.add_argument("--database", help="the alias of the queue's database (DATABASE)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Look, print, and exit with 1 if something is not well."""
        alias = options["database"] or conf.DATABASE
        if alias not in connections:
            raise CommandError(f"There is no database {alias!r} in DATABASES.")
        if options["kind"] == "live":
            checks = health.live(
                options["worker"],
                host=socket.gethostname(),
                timeout=options["timeout"],
                using=alias,
            )
        else:
            checks = health.ready(
                fewest_workers=options["min_workers"],
                longest_wait=options["max_wait"],
                only=options["queue"],
                using=alias,
            )
        ok = all(check.ok for check in checks)
        if options["format"] == "json":
            told = {"ok": ok, "checks": [check.as_dict() for check in checks]}
            self.stdout.write(json.dumps(told))
        else:
            for check in checks:
                self.stdout.write(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.detail}")
        if not ok:
            self.stdout.flush()
            sys.exit(1)
