"""What commands that change things have in common: they ask first, and say what they did."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from djtasks.conf import conf

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from djtasks.control import Outcome


class AskingCommand(BaseCommand):
    """A command that asks before it does what cannot be undone."""

    requires_system_checks = ()

    @staticmethod
    def add_common(parser: ArgumentParser) -> None:
        """Declare the options that every one of them has."""
        parser.add_argument(
            "-y", "--yes", action="store_true", help="do it without asking, as scripts must"
        )
        parser.add_argument("--database", help="the alias of the queue's database (DATABASE)")

    @staticmethod
    def database_of(options: dict[str, Any]) -> str:
        """The alias of the queue's database. Raises :class:`CommandError` if there is none."""
        alias = options["database"] or conf.DATABASE
        if alias not in connections:
            raise CommandError(f"There is no database {alias!r} in DATABASES.")
        return str(alias)

    def ask(self, question: str, options: dict[str, Any]) -> None:
        """Go on only if somebody says yes. Raises :class:`CommandError` otherwise."""
        if options["yes"]:
            return
        if not sys.stdin.isatty():
            raise CommandError(f"{question} Nobody is there to answer: say --yes.")
        if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was done.")

    def tell_passed_over(self, outcome: Outcome) -> None:
        """Say how many were passed over, for which reasons."""
        for reason, count in outcome.skipped.items():
            self.stdout.write(f"Passed over {number(count)}: {reason}.")


def number(count: int, *, more: bool = False) -> str:
    """A count as people write it; with ``more`` there are at least so many."""
    return f"{count:,}{' or more' if more else ''}"
