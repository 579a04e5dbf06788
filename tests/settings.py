"""Settings of the test suite: the test project's, on a throwaway server, with a second database."""

from __future__ import annotations

import os

# The server's data are nobody's: no reason to keep them or to wait for the disk. Tests and
# benchmarks of durability ask for DJTASKS_TEST_PG_FSYNC=on or start a server of their own.
os.environ.setdefault("DJTASKS_TEST_PG_DATA", "")
os.environ.setdefault("DJTASKS_TEST_PG_FSYNC", "off")

from testproject.databases import database, sibling
from testproject.settings import *
from testproject.settings import DATABASES, INSTALLED_APPS

DEBUG = False

INSTALLED_APPS = [*INSTALLED_APPS, "tests.testapp"]

DATABASES = {
    **DATABASES,
    "other": database(
        os.environ.get("OTHER_DATABASE_URL") or sibling(os.environ["DATABASE_URL"], "_other")
    ),
}

# The demo's schedules are not those of the tests.
DJTASKS = {}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
