"""What the commands have in common that run until they are told to stop."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from django.core import checks
from django.core.management.base import SystemCheckError

if TYPE_CHECKING:
    from django.core.management.base import BaseCommand

__all__ = ["LEVELS", "run_checks"]

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "FATAL")


def run_checks(command: BaseCommand) -> None:
    """Run the system checks, unless the environment says not to.

    Schedules that cannot be sent are told of, but one of them stops neither the others nor the
    tasks. Raises SystemCheckError for other errors.
    """
    from djtasks.periodic_checks import IDS

    if os.environ.get("DJTASKS_SKIP_CHECKS"):
        return
    try:
        command.check()
    except SystemCheckError as error:
        found = checks.run_checks()
        if any(m.is_serious() and not m.is_silenced() and m.id not in IDS for m in found):
            raise
        command.stderr.write(str(error))
