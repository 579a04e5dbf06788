"""What makes a worker sleep until it is woken.

With this module in ``IMPORTS`` it never looks for messages though nothing woke it, as others do
every five seconds: what such a worker runs, it was woken for, however slow the machine is.
"""

from __future__ import annotations

from djtasks.worker import intake, parent

intake.LONGEST_REST = 3600.0
# The parent has a name of its own for it.
vars(parent)["LONGEST_REST"] = intake.LONGEST_REST
