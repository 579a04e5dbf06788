"""``python manage.py taskprune``: delete what is old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from djtasks.control import pruning
from djtasks.management.asking import AskingCommand, number
from djtasks.management.durations import duration

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(AskingCommand):
    """Delete old results, and what goes with them."""

    help = (
        "Delete results and saved groups of tasks that ended long ago, with their attempts and "
        "large arguments, and what nothing points at any more. Workers do this by themselves, by "
        "RESULT_EXPIRES; this is for those who want it now, or with another age. What is queued "
        "or runs stays."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--older-than",
            type=duration,
            metavar="TIME",
            help="delete what ended longer ago: 90s, 10m, 24h, 7d, 2w (default: RESULT_EXPIRES)",
        )
        parser.add_argument(
            "-n", "--dry-run", action="store_true", help="count it and delete nothing"
        )
        self.add_common(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Count, ask, delete."""
        alias = self.database_of(options)
        age = options["older_than"]
        if age is None:
            age = pruning.default_age()
        if age is None:
            raise CommandError("RESULT_EXPIRES keeps results for ever: say --older-than.")
        found = pruning.prunable(age, using=alias)
        results = number(found.results, more=found.more)
        if options["dry_run"]:
            self.stdout.write(f"{results} results and {found.groups} groups would be deleted.")
            return
        if found.results or found.groups:
            self.ask(f"Delete {results} results and {found.groups} groups?", options)
        done = pruning.prune(age, using=alias)
        self.stdout.write(f"{number(done.results)} results and {done.groups} groups deleted.")
