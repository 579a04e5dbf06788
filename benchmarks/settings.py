"""Settings of the benchmarks: the test project's, on databases made for one run.

:mod:`benchmarks.server` makes the databases and exports their addresses before these settings are
read, here and in the workers.
"""

from __future__ import annotations

import os

from testproject.databases import database
from testproject.settings import *  # noqa: F403
from testproject.settings import DJTASKS, INSTALLED_APPS

DEBUG = False

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks"]

# What is measured is counted: the shop's own schedules would be among it.
DJTASKS = {**DJTASKS, "BEAT_SCHEDULE": {}}

DATABASES = {
    "default": database(os.environ["DATABASE_URL"]),
    # The same tables again, for a queue with a long backlog.
    "deep": database(os.environ["DJTASKS_BENCH_DEEP_URL"]),
}
