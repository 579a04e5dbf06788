"""``python manage.py taskpurge``: discard what is in queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from djtasks import control
from djtasks.management.asking import AskingCommand, number

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(AskingCommand):
    """Discard the tasks of queues."""

    help = (
        "Discard the tasks of these queues that no worker has begun. Nothing remains of them, but "
        "those that other tasks wait for end as REVOKED, with what waits for them. What runs goes "
        "on, and what is enqueued meanwhile stays."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the queues and options."""
        parser.add_argument("queue", nargs="+", help="the name of a queue")
        parser.add_argument(
            "-n", "--dry-run", action="store_true", help="count them and discard nothing"
        )
        self.add_common(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Count, ask, purge."""
        alias = self.database_of(options)
        for queue in dict.fromkeys(options["queue"]):
            found = control.purgeable(queue, using=alias)
            count = number(found.done, more=found.more)
            if options["dry_run"]:
                self.stdout.write(f"{queue}: {count} would be discarded.")
                self.tell_passed_over(found)
                continue
            self.ask(f"{queue}: discard {count}?", options)
            purged = control.purge(queue, using=alias)
            self.stdout.write(f"{queue}: {number(purged)} discarded.")
